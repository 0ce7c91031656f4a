"""The look, as numbers: contrast of every text on its ground, light and dark; and what must not be told by colour alone."""

import re
from pathlib import Path
from typing import get_args

import pytest

pytest.importorskip("nicegui", reason="the station extra is not installed (pip install guardian[station])")

from guardian.contract import EVENTS, Severity
from guardian.station import pages
from guardian.station.live import Contact, Status
from guardian.station.pages import marks

CSS = (Path(pages.__file__).parent / "look.css").read_text(encoding="utf-8")
DARK = "@media (prefers-color-scheme: dark)"
TONES = ("alarm", "warn", "unsure", "well", "quiet")
# (text, its ground)
PAIRS = [
    ("ink", "paper"), ("ink", "card"), ("ink", "sunk"), ("ink-soft", "paper"), ("ink-soft", "card"), ("link", "card"), ("link", "paper"),
    ("on-alarm", "alarm"), *((f"{tone}-ink", f"{tone}-ground") for tone in TONES), *((f"{tone}-ink", "card") for tone in TONES),
    ("card", "link"), ("paper", "ink"),
]  # fmt: skip


def colours(mode: str) -> dict[str, str]:
    light, dark = CSS.split(DARK)[0], CSS.split(DARK)[1].split("/* --- the ground */")[0]
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light))
    return found if mode == "light" else found | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark))


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]  # WCAG 2.1, relative luminance
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_every_text_can_be_read_on_its_ground(mode: str, text: str, ground: str) -> None:
    found = colours(mode)
    one, other = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
    assert (one + 0.05) / (other + 0.05) >= 4.5, "WCAG 2.1 AA"


def test_each_status_contact_event_and_severity_has_its_mark() -> None:
    assert set(marks.STATUSES) == set(get_args(Status))
    assert set(marks.CONTACTS) == set(get_args(Contact))
    assert set(marks.SEVERITIES) == set(get_args(Severity))
    assert set(marks.EVENTS) <= set(EVENTS)
    assert {tone for tone, _ in (*marks.STATUSES.values(), *marks.SEVERITIES.values())} <= set(TONES)


def test_silence_is_never_drawn_like_health() -> None:
    well = {sign for tone, sign in marks.STATUSES.values() if tone == "well"}
    rest = {sign for tone, sign in marks.STATUSES.values() if tone != "well"}
    assert not well & rest
    assert {name for name, (tone, _) in marks.STATUSES.items() if tone == "well"} == {"walking", "guarding"}
    silent = ("lost", "stale", "switched_off", "never", "off", "unknown", "lost_alarm", "switched_off_alarm")
    assert len({marks.STATUSES[name][1] for name in silent}) == len(silent)


def test_who_wants_no_motion_gets_none_and_buttons_are_large() -> None:
    assert "prefers-reduced-motion: reduce" in CSS
    assert all(int(size) >= 44 for size in re.findall(r"\.(?:button|ack|input)[^{]*\{[^}]*min-height: (\d+)px", CSS))


def test_no_rule_is_left_over_from_what_was_there_before() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in Path(pages.__file__).parent.iterdir() if path.suffix in {".py", ".js"})
    classes = set(re.findall(r"\.([a-z][a-z-]+)", re.sub(r"/\*.*?\*/", "", CSS, flags=re.DOTALL)))
    theirs = {"body--dark", "nicegui-content", "nicegui-sub-pages", "q-page", "q-dialog", "q-notification"}
    assert {name for name in classes - theirs if name.removeprefix("tone-") not in source} == set()
