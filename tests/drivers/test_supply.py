"""The power supply driver against the gauges' register maps, on the simulated bus."""

from pathlib import Path
from typing import Any

import pytest

from guardian import config
from guardian.config import SupplyConfig
from guardian.drivers.supply import PowerSupply
from guardian.frame import Supply
from guardian.sim.bus import SimBus
from guardian.sim.supply import Ina219, Max17048

SECOND = 1_000_000_000


class HandClock:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.t_ns = 0

    def now_ns(self) -> int:
        return self.t_ns

    def wait_until(self, t_ns: int) -> None:
        self.t_ns = max(self.t_ns, t_ns)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def bus(clock: HandClock) -> SimBus:
    return SimBus(clock)


def supply_config(**changes: Any) -> SupplyConfig:
    return config.load(local=None, overrides={"supply": {"undervoltage_file": "/nowhere/*", **changes}}).supply


def test_without_gauge_and_kernel_flag_all_is_unknown(bus: SimBus) -> None:
    assert PowerSupply(bus, supply_config()).read(0) == Supply(undervoltage=None, charge=None)


def test_it_is_asked_every_read_s_not_once_a_tick(bus: SimBus) -> None:
    supply = PowerSupply(bus, supply_config(read_s=0.5))
    answered = [t_ms for t_ms in range(0, 1500, 10) if supply.read(t_ms * 1_000_000) is not None]
    assert answered == [0, 500, 1000]


def test_the_kernels_flag_is_found_by_pattern_and_followed(bus: SimBus, tmp_path: Path) -> None:
    supply = PowerSupply(bus, supply_config(undervoltage_file=str(tmp_path / "hwmon*" / "in0_lcrit_alarm")))
    flag = tmp_path / "hwmon1" / "in0_lcrit_alarm"
    seen = []
    for t, content in enumerate([None, "0\n", "1\n", "0\n"]):
        if content is not None:
            flag.parent.mkdir(exist_ok=True)
            flag.write_text(content)
        answer = supply.read(t * SECOND)
        assert answer is not None
        seen.append(answer.undervoltage)
    assert seen == [None, False, True, False]
    flag.rename(flag.parent / "gone")  # a driver re-loaded under another number
    assert supply.read(4 * SECOND) == Supply(undervoltage=None, charge=None)
    (tmp_path / "hwmon2").mkdir()
    (tmp_path / "hwmon2" / "in0_lcrit_alarm").write_text("1\n")
    assert supply.read(5 * SECOND) == Supply(undervoltage=True, charge=None)


@pytest.mark.parametrize(("cell", "told"), [(0.8, 0.8), (0.15, 0.15), (0.0, 0.0), (1.02, 1.0)])
def test_max17048_tells_the_charge(bus: SimBus, cell: float, told: float) -> None:
    bus.attach(0x36, Max17048(charge=cell))
    answer = PowerSupply(bus, supply_config(gauge="max17048")).read(0)
    assert answer is not None
    assert answer.charge == pytest.approx(told, abs=1 / 25600)


@pytest.mark.parametrize(("cell_v", "told"), [(4.15, 1.0), (3.3, 0.0), (3.725, 0.5), (4.3, 1.0), (3.0, 0.0)])
def test_ina219_tells_the_charge_from_the_cells_voltage(bus: SimBus, cell_v: float, told: float) -> None:
    bus.attach(0x40, Ina219(cell_v=cell_v))
    answer = PowerSupply(bus, supply_config(gauge="ina219", address=0x40)).read(0)
    assert answer is not None
    assert answer.charge == pytest.approx(told, abs=0.005)


def test_another_chip_at_the_gauges_address_is_unknown_and_named(bus: SimBus) -> None:
    bus.attach(0x36, Ina219())
    supply = PowerSupply(bus, supply_config(gauge="max17048"))
    assert supply.read(0) == Supply(undervoltage=None, charge=None)
    assert supply.trouble is not None
    assert "supply.address 0x36" in supply.trouble


@pytest.mark.parametrize(
    ("gauge", "words"),
    [(Ina219(cell_v=0.3), "wire VIN-"), (Ina219(), "mode 0")],
)
def test_an_ina219_that_cannot_know_is_unknown_not_empty(bus: SimBus, gauge: Ina219, words: str) -> None:
    if words == "mode 0":
        gauge.write(0x00, b"\x39\x98", 0)  # powered down by another program
    bus.attach(0x40, gauge)
    supply = PowerSupply(bus, supply_config(gauge="ina219", address=0x40))
    assert supply.read(0) == Supply(undervoltage=None, charge=None)
    assert supply.trouble is not None
    assert words in supply.trouble


def test_a_gauge_torn_off_is_asked_ever_more_rarely_and_found_again(bus: SimBus, clock: HandClock) -> None:
    gauge = Max17048(charge=0.5)
    reads: list[int] = []
    read = gauge.read
    gauge.read = lambda register, n, t_ns: (reads.append(clock.t_ns // SECOND), read(register, n, t_ns))[1]  # type: ignore[method-assign]
    supply = PowerSupply(bus, supply_config(gauge="max17048"))
    charges: dict[int, float | None] = {}
    for t in range(200):
        clock.t_ns = t * SECOND
        if t == 100:
            bus.attach(0x36, gauge)
        answer = supply.read(clock.t_ns)
        assert answer is not None
        charges[t] = answer.charge
    assert all(charges[t] is None for t in range(100))
    assert supply.trouble is None
    back = min(t for t, charge in charges.items() if charge is not None)
    assert 100 <= back <= 164
    assert all(charges[t] == pytest.approx(0.5, abs=1 / 25600) for t in range(back, 200))
    assert len(reads) == 2 * (200 - back)


def test_chips_reset_as_their_sheets_say() -> None:
    ina = Ina219()
    ina.write(0x00, b"\x01\x9f", 0)
    ina.write(0x05, b"\x10\x01", 0)
    assert (ina.read(0x00, 2, 0), ina.read(0x05, 2, 0)) == (b"\x01\x9f", b"\x10\x00")
    ina.cell_v = 18.0
    assert ina.read(0x02, 2, 0) == ((4000 << 3) | 2).to_bytes(2, "big")  # 16 V range
    ina.write(0x00, b"\x80\x00", 0)
    assert (ina.read(0x00, 2, 0), ina.read(0x05, 2, 0)) == (b"\x39\x9f", b"\x00\x00")
    gauge = Max17048()
    gauge.write(0x0C, b"\x97\x1f", 0)
    assert gauge.read(0x0C, 2, 0) == b"\x97\x1f"
    gauge.write(0xFE, b"\x54\x00", 0)
    assert gauge.read(0x0C, 2, 0) == b"\x97\x1c"
