"""What the station's tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="the station extra is not installed (pip install guardian[station])")

from lab.durability import Broker
from tests.station.ward import Device, Ward, settings


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """Whatever is passed through it is closed (or killed) at the end, last first."""
    made: list[Any] = []

    def keep(one: Any) -> Any:
        made.append(one)
        return one

    yield keep
    for one in reversed(made):
        (one.kill if hasattr(one, "kill") else one.close)()


@pytest.fixture
def broker(mosquitto: str, tmp_path: Path, opened: Callable[[Any], Any]) -> Broker:
    """A mosquitto of this test's own."""
    made = Broker(mosquitto, tmp_path)
    opened(made)
    made.start()
    return made


@pytest.fixture
def ward(broker: Broker, tmp_path: Path, opened: Callable[[Any], Any]) -> Ward:
    """A station that listens."""
    made = opened(Ward(settings(tmp_path, broker.port)))
    assert isinstance(made, Ward)
    return made.start()


@pytest.fixture
def device(broker: Broker, opened: Callable[[Any], Any]) -> Device:
    """guardian-01."""
    made = opened(Device(broker.port))
    assert isinstance(made, Device)
    return made
