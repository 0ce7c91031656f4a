"""The pictures of the station's page in docs/: a simulated training at a wall, at the speed of life, that ends in a fall.

Grandma is the whole simulated device; the others speak as devices do. Real mosquitto, real station, Debian's chromium. `make screenshots`.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from guardian.sim.person import Person
from guardian.sim.phases import Lie, Phase, Stand, TripBackward, Walk
from guardian.sim.scenarios import Scenario
from guardian.sim.surroundings import Surroundings, wall_behind
from guardian.sim.world import Story
from lab.durability import Broker
from lab.household import PASSWORD, Household, Program, Somebody
from lab.worn import Worn

ROUNDS = 9  # to the wall and away from it: some three minutes
WALL_M = 5.0
MOST_BYTES = 250_000
GRANDMA = "guardian-01"
OTHERS = [
    Somebody("guardian-02", "Grandpa", exercise="stairs", battery=None, cadence=44, steps=38),
    Somebody("guardian-03", "Uncle", silent=True, battery=41, exercise="treadmill"),
    Somebody("guardian-04", "Mother", battery=12, exercise="lunges"),
    Somebody("guardian-05", "Father", state="OFF", session=False, battery=93),
    Somebody("guardian-06", "Neighbour", state="OFF", session=False, power="off", battery=55),
    Somebody("guardian-07", "Godfather", state=None),
]


def training(seed: int) -> tuple[Story, tuple[Any, ...]]:
    """Backward to the wall until it beeps, forward again, several times; then a heel catches."""
    rounds: list[Phase] = []
    for _ in range(ROUNDS):
        rounds += [Walk(9.0, speed=-0.65, stops_on_sound=True), Stand(2.5), Walk(5.5, speed=0.7), Stand(2.0)]
    script = (Stand(3), *rounds, Walk(3.0, speed=-0.6), TripBackward(), Lie(3600))
    return Story(Person.drawn(seed), script, Surroundings((wall_behind(-WALL_M),), seed=seed)), ()


def main() -> int:
    """Take them; 1 when one is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=Path("docs"), help="the folder (default docs)")
    into = parser.parse_args().into
    chromium, mosquitto = shutil.which("chromium"), shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if chromium is None or not Path(mosquitto).exists():
        print("the pictures need chromium and mosquitto: apt install chromium mosquitto", file=sys.stderr)
        return 2
    story = Scenario("training", "Trains at a wall, then falls.", 3600.0, (), frozenset(), training)
    with tempfile.TemporaryDirectory(prefix="guardian-pictures-") as name:
        folder = Path(name)
        (folder / "worn").mkdir()
        broker = Broker(mosquitto, folder)
        broker.start()
        station = Program(folder, broker.port, {GRANDMA: "Grandma", **{one.device: one.name for one in OTHERS}}, {"daughter": ()})
        try:
            station.start()
            with Household(broker.port, OTHERS), sync_playwright() as playwright, Worn(folder / "worn", broker.port, story):
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
                taken = pictures(browser, station.url, into)
                browser.close()
        finally:
            station.kill()
            broker.kill()
    too_large = [path for path in taken if path.stat().st_size > MOST_BYTES]
    for path in taken:
        print(f"{path}  {path.stat().st_size} bytes")
    return 1 if too_large else 0


def pictures(browser: Browser, url: str, into: Path) -> list[Path]:
    """On a phone and on a desk, before the fall and after it."""
    phone = page_of(browser, url, 390, 844, "light")
    night = page_of(browser, url, 390, 844, "dark")
    desk = page_of(browser, url, 1440, 900, "light")
    desk.click("text=Grandma")
    desk.wait_for_selector("figcaption")
    # the training is in its last rounds, and the trace is long
    phone.wait_for_selector(".person:has-text('Uncle') :text('No contact')", timeout=180_000)
    desk.wait_for_timeout(90_000)
    desk.wait_for_selector(".now:has-text('Walking')")
    taken = [shot(desk, into / "station-desktop.png")]
    phone.wait_for_selector(".person:has-text('Grandma') :text('Walking')")
    taken.append(shot(phone, into / "station-phone.png"))
    night.wait_for_selector(".alarm:has-text('Has fallen')", timeout=180_000)
    night.wait_for_timeout(6000)
    taken.append(shot(night, into / "station-alarm.png"))
    return taken


def page_of(browser: Browser, url: str, width: int, height: int, scheme: str) -> Page:
    """Daughter's page, logged in."""
    scale = 2 if width < 800 else 1
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-GB",
        device_scale_factor=scale,
    )
    page.goto(url)
    page.fill("input[name=name]", "daughter")
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector(".person")
    page.click("h1")  # the touch that lets it sound
    return page


def shot(page: Page, path: Path) -> Path:
    """One picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(path))
    return path


if __name__ == "__main__":
    sys.exit(main())
