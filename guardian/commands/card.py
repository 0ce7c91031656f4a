"""The card of sounds and gestures: one printable page of Markdown, made from the tables that the program plays by."""

from guardian.config import Config, Sound
from guardian.contract import FAULTS

BEGIN = "<!-- card of sounds and gestures: begin (make card) -->"
END = "<!-- card of sounds and gestures: end -->"

LONG_MS, SHORT_MS = 250, 100
STEADY = "━━━━━━━━━━"
LOOP_MS = 1300  # of a sound that goes on, this much is drawn
GAPS = ((1, 200), (2, 400), (3, 650), (4, 1 << 30))  # columns, for a gap shorter than this (ms)
GROUPS: tuple[tuple[str, frozenset[str]], ...] = (  # heading, names; one that ends in _ stands for all that begin so
    (
        "Falls",
        frozenset(
            ["fall", "fall_acknowledged", "countdown_last", "countdown", "imminent", "acknowledged", "cancelled", "cleared", "near_fall"]
        ),
    ),
    (
        "Behind you",
        frozenset(
            ["near", "stop", "caution_fast", "caution", "off_end_now", "off_end", "no_room", "too_fast", "no_reference", "straighten_up"]
        ),
    ),
    ("Not guarding", frozenset(["not_guarding", "unguarded", "session_ended"])),
    ("Something is wrong", frozenset(FAULTS)),
    ("Exercises: as many beeps as the exercise's place", frozenset(["exercise_"])),
    ("The coach: a tick, then what it says; cut short by any warning", frozenset(["coach_"])),
)
REST = "Marks"


def rhythm(sound: Sound) -> str:
    """A sound as it is heard: long, middle and short beeps, with gaps as wide as they last; what goes on is shown going on."""
    pattern = sound.on_off_ms
    if sound.repeat_s == 0 and len(pattern) == 1:
        return STEADY
    if sound.repeat_s == 0:
        pattern *= max(1, LOOP_MS // sum(pattern))
    drawn = ""
    for index, ms in enumerate(pattern):
        if index % 2 == 0:
            drawn += "━━━" if ms >= LONG_MS else "━" if ms >= SHORT_MS else "•"
        else:
            drawn += " " * next(width for width, up_to_ms in GAPS if ms < up_to_ms)
    return drawn.rstrip() + (" …" if sound.repeat_s == 0 else "")


def how_often(sound: Sound) -> str:
    """Once, without pause, or again after a pause."""
    if sound.repeat_s is None:
        return "once"
    return "goes on" if sound.repeat_s == 0 else f"again every {sound.repeat_s:g} s"


def gestures(config: Config) -> list[tuple[str, str]]:
    """What the button does, with the times of [policy]."""
    p = config.policy
    return [
        ("press briefly, while the device is off", "start: settling, then the guarding chirp"),
        (f"press briefly (under {p.cancel_press_s:g} s), in the countdown", "I am all right: cancels the suspected fall"),
        (f"hold {p.sos_hold_s:g} s", "SOS: calls caregivers at once, any time"),
        (f"let go, then hold {p.clear_hold_s:g} s, standing", "clears an open alarm"),
        (f"let go, then hold {p.sos_hold_s:g} s, on the floor", "SOS again"),
        (f"three short presses within {p.triple_press_s:g} s", "off: take the belt off silently"),
        (
            f"two short presses, and no third for {p.triple_press_s:g} s, settling or guarding, not lying",
            "the next exercise: ends the session, begins another; the beeps say which",
        ),
    ]


def _group(sound: str) -> str:
    return next((heading for heading, names in GROUPS if sound in names or sound.partition("_")[0] + "_" in names), REST)


def card(config: Config) -> str:
    """The page. Markdown, ends with a newline."""
    lines = ["## Card of sounds and gestures", "", "`━━━` long, `━` middle, `•` short beep.", ""]
    by_urgency = sorted(config.sounds, key=lambda name: -config.sounds[name].priority)
    for heading in (*(heading for heading, _ in GROUPS), REST):
        lines += [f"### {heading}", "", "| you hear | | it means |", "|---|---|---|"]
        rows = [config.sounds[name] for name in by_urgency if _group(name) == heading]
        lines += [f"| `{rhythm(sound)}` | {how_often(sound)} | {sound.meaning} |" for sound in rows]
        lines.append("")
    lines += ["### The button", "", "| do | it means |", "|---|---|"]
    lines += [f"| {do} | {means} |" for do, means in gestures(config)]
    return "\n".join([*lines, ""])
