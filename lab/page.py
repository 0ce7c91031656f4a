"""How fast an alarm is on the page, and how fast the page is there: a real browser, station and broker on this machine.

Time to the page: from just before the publish until the alarm's card is in the browser's document, both by this machine's clock. Prints a
row for each number of wearers. The wearers speak every 5 s.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from lab.durability import Broker
from lab.household import PASSWORD, Household, Program, Somebody

FIRST = 3  # alarms that do not count: until all of the wearers, who came at once, are in the database
WATCH = """() => { window.seen = null; new MutationObserver(() => {
    if (document.querySelector('.alarm') && window.seen === null) window.seen = Date.now()
}).observe(document.body, {childList: true, subtree: true}) }"""


def measured(wearers: int, alarms: int) -> tuple[list[float], list[float]]:
    """(ms to the page of each alarm, ms of each loading), sorted."""
    people = [Somebody(f"n{number:03d}", "", cadence=60.0 * (number % 2)) for number in range(wearers)]
    arrivals, loads = [], []
    with tempfile.TemporaryDirectory(prefix="guardian-page-") as name:
        broker = Broker(shutil.which("mosquitto") or "/usr/sbin/mosquitto", Path(name))
        broker.start()
        station = Program(Path(name), broker.port, {}, {"daughter": ()})
        try:
            station.start()
            with Household(broker.port, people, beat_s=5.0) as house, sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                page = browser.new_page(viewport={"width": 390, "height": 844}, locale="en-GB")
                page.goto(station.url)
                page.fill("input[name=name]", "daughter")
                page.fill("input[name=password]", PASSWORD)
                page.press("input[name=password]", "Enter")
                page.wait_for_selector(f"text={wearers} people", timeout=60_000)
                for _ in range(10):
                    began = time.monotonic()
                    page.goto(station.url)
                    page.wait_for_selector(".person")
                    loads.append(1000 * (time.monotonic() - began))
                page.evaluate(WATCH)
                for number in range(-FIRST, alarms):
                    device = f"n{number % wearers:03d}"
                    page.evaluate("window.seen = null")
                    began = 1000 * time.time()
                    house.becomes(device=device, state="FALLEN", alarm="fall")
                    page.wait_for_function("window.seen !== null")
                    if number >= 0:
                        arrivals.append(page.evaluate("window.seen") - began)
                    house.becomes(device=device, state="GUARDING", alarm=None)
                    page.wait_for_selector(".alarm", state="detached")
                browser.close()
        finally:
            station.kill()
            broker.kill()
    return sorted(arrivals), sorted(loads)


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wearers", type=int, nargs="+", default=[6, 50, 500])
    parser.add_argument("--alarms", type=int, default=100)
    args = parser.parse_args()
    print("| wearers | alarm on the page, ms: median | 99 % | most | page there, ms: median | most |\n|---:|---:|---:|---:|---:|---:|")
    for wearers in args.wearers:
        arrivals, loads = measured(wearers, args.alarms)
        late = arrivals[min(len(arrivals) - 1, int(0.99 * len(arrivals)))]
        row = (arrivals[len(arrivals) // 2], late, arrivals[-1], loads[len(loads) // 2], loads[-1])
        print(f"| {wearers} | " + " | ".join(f"{one:.0f}" for one in row) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
