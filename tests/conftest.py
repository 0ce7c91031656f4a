"""What tests share: the configuration, the recordings and servers that may be absent, and the rule on skips."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardian.config import Config, load

REQUIRED = {name for name in os.environ.get("GUARDIAN_REQUIRE", "").split(",") if name}


def absent(name: str, reason: str) -> None:
    """Skip for want of something, unless GUARDIAN_REQUIRE names it: there a skip is a failure."""
    if name in REQUIRED:
        pytest.fail(f"GUARDIAN_REQUIRE names {name}, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def config() -> Config:
    """The shipped configuration alone, whatever this machine's own file says."""
    return load(local=None)


@pytest.fixture(scope="session")
def sisfall() -> Path:
    """The folder of SisFall's recordings, from the environment's SISFALL."""
    place = os.environ.get("SISFALL")
    if not place or not (Path(place) / "fall_times.csv").exists():
        absent("sisfall", "SISFALL does not name the folder of the recordings")
    return Path(str(place))


@pytest.fixture(scope="session")
def mosquitto() -> str:
    """The path of the mosquitto broker."""
    found = shutil.which("mosquitto") or ("/usr/sbin/mosquitto" if Path("/usr/sbin/mosquitto").exists() else None)
    if found is None:
        absent("mosquitto", "mosquitto is not installed (apt install mosquitto)")
    return str(found)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by Playwright."""
    chromium = shutil.which("chromium")
    if chromium is None:
        absent("chromium", "chromium is not installed (apt install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("chromium", "playwright is not installed (pip install playwright)")
    with sync_playwright() as playwright:
        # no-user-gesture-required is not given: the page must ask for its touch, as on a phone
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield made
        made.close()
