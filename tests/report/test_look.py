"""The report in a browser: nothing sticks out on a phone, on a desk or on paper, nothing is fetched, the right picture is shown."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import absent


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
        made = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield made
        made.close()


@pytest.mark.parametrize(
    ("medium", "width", "seen"),
    [("screen", 320, "phone"), ("screen", 390, "phone"), ("screen", 800, "desk"), ("screen", 1280, "desk"), ("print", 703, "desk")],
)
def test_nothing_sticks_out_and_nothing_is_fetched(browser: Any, reported: Path, medium: str, width: int, seen: str) -> None:
    for file in reported.glob("*.html"):
        page = browser.new_page(viewport={"width": width, "height": 844})
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, said=said: said.append(message.text))
        page.emulate_media(media=medium)
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
        beyond = "e => [...e].filter(one => one.getBoundingClientRect().right > innerWidth + 0.5).length"
        assert page.eval_on_selector_all("main *:not(svg *)", beyond) == 0
        figures = page.locator("figure").count()
        assert figures >= 1 and page.locator(f"figure .{seen}:visible").count() == figures == page.locator("figure div:visible").count()
        assert asked == [file.as_uri()] and said == []
        page.close()


def test_letters_of_a_phones_picture_can_be_read(browser: Any, reported: Path) -> None:
    for file in reported.glob("*.html"):
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(file.as_uri())
        least = page.eval_on_selector_all("figure .phone text", "all => Math.min(...all.map(one => one.getBoundingClientRect().height))")
        assert least >= 8.0, f"{file.name}: {least} px from top to bottom of a letter's box"
        page.close()
