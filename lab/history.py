"""Ten weeks of a simulated person's training as the device would have kept them, and the report of them: what `guardian report` looks like.

    python -m lab.history                     # lab/out/history: sessions.db, the page of ten weeks and of one session, their pictures, CSV
    python -m lab.history --seed 3 --until 2026-05-31
    python -m lab.history --picture docs/report.png      # what a browser shows of the first page (needs chromium)

Thirty sessions of five exercises, written through the device's own writer (guardian/sessions.py). Not the monitor's output: each second is
drawn from a simple model of a person who gets better (speed, rhythm and lean change by week, and with fatigue within a session; a wall
behind makes the warnings). What the report must name is all there: a week without training, near-falls and a cancelled fall, a session that
never ended, one without a date, one without a timeline, and one with a page of its timeline torn out of the file.
"""

import argparse
import math
import shutil
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from guardian import sessions
from guardian.commands import report
from guardian.sessions import FILE, Mark, Planned, Second, Summary
from guardian.verdict import Obstacle, Phase, State

UNTIL = date(2026, 5, 31)  # a Sunday
WEEKS: tuple[tuple[str, ...], ...] = (
    ("walk", "stairs", "lunges"),
    ("walk", "treadmill", "stairs"),
    ("walk", "lunges", "treadmill", "run"),
    ("walk", "stairs", "run"),
    ("walk", "lunges", "treadmill"),
    (),  # ill
    ("walk", "stairs", "lunges", "treadmill"),
    ("walk", "run", "lunges"),
    ("walk", "stairs", "treadmill", "run"),
    ("walk", "run", "stairs"),
)
UNDATED, UNENDED, BARE, TORN = 8, 14, 19, 24  # places of the sessions that something is wrong with
NEAR_FALLS = {10: 1, 16: 2, 21: 1, 28: 1}  # place -> how many
FALLS = {22: 1}
TRACK_M = 24.0  # a corridor: backward to its end, where the wall makes the warnings, and forward again
INSTALL = "5e8c21d7"
MOST_BYTES = 300_000  # of a picture in docs/


class Way(Struct, frozen=True):
    """How an exercise is done in the first week: dose of a set and unit, sets, speed in m/s, steps/min, lean in °."""

    dose: float
    unit: str
    sets: int
    speed_m_s: float
    cadence: float
    lean_deg: float


WAYS = {
    "walk": Way(300.0, "s", 1, 0.55, 92.0, 9.0),
    "run": Way(20.0, "m", 4, 1.5, 150.0, 12.0),
    "stairs": Way(5.0, "stairs", 2, 0.12, 44.0, 13.0),
    "treadmill": Way(300.0, "s", 1, 0.45, 84.0, 7.0),
    "lunges": Way(10.0, "reps", 1, 0.0, 0.0, 11.0),
}


def write_history(path: Path, seed: int = 1, until: date = UNTIL) -> list[Summary]:
    """Make the database; the sessions as they were written, the oldest first. The same arguments give the same rows."""
    random = Random(seed)
    monday = until - timedelta(until.weekday()) - timedelta(7 * (len(WEEKS) - 1))
    doses = {name: way.dose for name, way in WAYS.items()}
    plans: dict[str, Planned] = {}
    kept: list[Summary] = []
    with closing(sessions.open_for_writing(path)) as db:
        for week, names in enumerate(WEEKS):
            for number, name in enumerate(names):
                place = len(kept)
                day = monday + timedelta(7 * week + number * 7 // len(names))
                began = datetime(day.year, day.month, day.day, 9 + number, random.randrange(60), tzinfo=UTC).timestamp()
                id_ = f"{INSTALL}-{place + 3}-{random.randrange(2, 30)}"
                summary, seconds, marks = _session(random, place, week, name, id_, began, doses[name])
                sessions.write(db, summaries=[summary], seconds=[] if place == BARE else seconds, marks=[] if place == BARE else marks)
                kept.append(summary)
                dose, why = _next_dose(doses[name], summary)
                if why:
                    plans[name] = Planned(name, dose, WAYS[name].unit, began + 3600.0, why)
                    doses[name] = dose
            if not names:
                for name, plan in plans.items():
                    plans[name] = replace(plan, why="held: a week without training")
        sessions.write(db, plans=plans.values())
    _tear(path, kept[TORN].id)
    return kept


def main() -> int:
    """Make it and write the reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=Path("lab/out/history"), help="the folder (default lab/out/history)")
    parser.add_argument("--seed", type=int, default=1, help="another person (default 1)")
    parser.add_argument("--until", type=date.fromisoformat, default=UNTIL, help=f"the last day (default {UNTIL})")
    parser.add_argument("--picture", type=Path, help="photograph the page of ten weeks into this file")
    args = parser.parse_args()
    args.into.mkdir(parents=True, exist_ok=True)
    for old in (*args.into.glob(f"{FILE}*"), *args.into.glob("guardian-*")):
        old.unlink()
    kept = write_history(args.into / FILE, args.seed, args.until)
    common = {"config": None, "overrides": {}, "db": args.into / FILE, "out": args.into, "exercise": None}
    trend = Namespace(session=None, last=f"{len(WEEKS)}w", until=args.until.isoformat(), csv=True, **common)
    one = Namespace(session=kept[max(NEAR_FALLS, key=lambda place: NEAR_FALLS[place])].id, last=None, until=None, csv=False, **common)
    failed = max(report.main(trend), report.main(one))
    return failed or (_photographed(next(args.into.glob("guardian-*-to-*.html")), args.picture) if args.picture else 0)


def _photographed(page: Path, picture: Path) -> int:
    """The upper part of the page as on a desk; 1 when the picture is too large for docs/."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # of the dev extra; the report itself needs no browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"])
        shown = browser.new_page(viewport={"width": 1120, "height": 1500})
        shown.goto(page.resolve().as_uri())
        shown.screenshot(path=str(picture))
        browser.close()
    size = picture.stat().st_size
    print(f"{picture}: {size / 1000:.0f} kB")
    return 1 if size > MOST_BYTES else 0


# --- one session


def _session(
    random: Random, place: int, week: int, name: str, id_: str, began_utc: float, dose: float
) -> tuple[Summary, list[Second], list[Mark]]:
    way, gain = WAYS[name], 1.0 - math.exp(-week / 5.0)  # better week by week, less and less so
    speed = way.speed_m_s * (1.0 + 0.35 * gain) * random.gauss(1.0, 0.03)
    cadence = way.cadence * (1.0 + 0.12 * gain) * random.gauss(1.0, 0.015)
    lean = way.lean_deg * (1.0 - 0.45 * gain) + random.gauss(0.0, 0.6)
    phases = list(_phases(way, dose, speed))
    if place == UNENDED:
        phases = phases[: 2 * len(phases) // 3]  # the battery went
    seconds = list(_seconds(random, id_, name, phases, speed, cadence, lean))
    marks = _marks(random, seconds, NEAR_FALLS.get(place, 0), FALLS.get(place, 0))
    work = [one for one in seconds if one.phase == Phase.WORK]
    walked = [one for one in seconds if one.cadence]
    ended = place != UNENDED
    share = 1.0 if ended else 0.6
    regular = min(0.95, 0.60 + 0.22 * gain + random.gauss(0.0, 0.02)) - 0.06 * NEAR_FALLS.get(place, 0)
    done = round(dose * way.sets * share)
    legs = (done, max(0, done - place % 2)) if name == "lunges" else (0, 0)
    dated = place != UNDATED
    turned = [b.obstacle for a, b in pairwise(seconds) if a.obstacle != b.obstacle]
    summary = Summary(
        id=id_,
        exercise=name,
        started_utc=began_utc if dated else None,
        ended_utc=began_utc + len(seconds) if ended and dated else None,
        reason=("three_presses" if place % 4 else "not_worn") if ended else None,
        duration_s=float(len(seconds)),
        steps=round(sum(one.cadence for one in seconds) / 60),
        distance_m=round(sum(one.speed_m_s for one in seconds), 1),
        cadence=_mean([one.cadence for one in work if one.cadence]),
        speed_m_s=_mean([one.speed_m_s for one in work if one.cadence]),
        regularity=round(regular, 3) if walked and name != "lunges" else None,
        symmetry=round(min(1.0, regular + 0.15), 3) if walked and name != "lunges" else None,
        lean_deg=_mean([one.lean_deg for one in work if one.lean_deg is not None]),
        sway_deg=round(3.2 - 1.2 * gain + random.gauss(0.0, 0.15), 2),
        stairs=done if name == "stairs" else 0,
        lunges_left=legs[0],
        lunges_right=legs[1],
        lunge_depth_m=round(0.24 + 0.06 * gain, 3) if name == "lunges" else None,
        unit=way.unit,
        dose=dose,
        done=sum(legs) / 2 if name == "lunges" else float(done),
        sets=way.sets,
        sets_done=way.sets if ended else max(0, way.sets - 1),
        cautions=turned.count(Obstacle.CAUTION),
        stops=turned.count(Obstacle.STOP),
        near_falls=NEAR_FALLS.get(place, 0),
        falls=FALLS.get(place, 0),
    )
    return summary, seconds, marks


def _phases(way: Way, dose: float, speed: float) -> Iterator[Phase]:
    """The phase of each second."""
    yield from [Phase.WARM_UP] * 90
    work_s = way.sets * {"s": dose, "m": dose / max(speed, 0.1), "stairs": dose * 60 / 44, "reps": 2 * dose * 5.5}[way.unit]
    for number in range(way.sets):
        if number:
            yield from [Phase.REST] * 60
        yield from [Phase.WORK] * max(8, round(work_s / way.sets))
    yield from [Phase.DONE] * 25


def _seconds(random: Random, id_: str, name: str, phases: Sequence[Phase], speed: float, cadence: float, lean: float) -> Iterator[Second]:
    """Toward the wall backward, away from it forward; a rhythm that wavers, a trunk that bends with fatigue."""
    behind_m, backward, wobble, sag = 6.0, True, 0.0, 0.0
    for t, phase in enumerate(phases):
        wobble = 0.85 * wobble + random.gauss(0.0, 0.04)
        sag = 0.9 * sag + random.gauss(0.0, 0.5)
        share = {Phase.WARM_UP: 0.75, Phase.WORK: 1.0, Phase.REST: 0.0, Phase.DONE: 0.5}[phase]
        here = max(0.0, speed * share * (1.0 + wobble))
        steps = cadence * (0.4 + 0.6 * share) * (1.0 + 0.4 * wobble) if share else 0.0
        closing = 0.0
        if name in ("walk", "run"):
            way = -here if backward and phase is not Phase.WARM_UP else here
            behind_m = min(TRACK_M, behind_m + way)
            closing = max(0.0, -way)
            if behind_m < 0.55 + 0.25 * random.random():
                backward = False
            elif behind_m > 0.9 * TRACK_M:
                backward = True
        elif name == "treadmill":
            behind_m = 1.1 + 3 * wobble
            closing = 0.0
        elif name == "lunges":
            behind_m, here, steps = 2.6 + 0.4 * math.sin(t * 2 * math.pi / 5.5) + 0.05 * sag, 0.0, 0.0
        elif name == "stairs":
            behind_m = 0.33 + 0.05 * sag if share else 0.9
        seen = behind_m if 0.02 < behind_m < 4.0 and random.random() > 0.03 else None
        bend = lean + sag + 2.5 * (t / max(1, len(phases)))
        yield Second(
            id_,
            float(t),
            round(here, 2),
            round(steps, 1),
            round(bend, 1),
            None if seen is None else round(seen, 2),
            _obstacle(name, behind_m, seen, closing),
            State.SETTLING if t < 3 else State.GUARDING,
            phase,
        )


def _obstacle(name: str, behind_m: float, seen: float | None, closing: float) -> Obstacle:
    if name == "treadmill":
        return Obstacle.CAUTION if abs(behind_m - 1.1) > 0.6 else Obstacle.CLEAR
    if seen is None and behind_m < 4.0:
        return Obstacle.UNKNOWN
    if closing > 0.1 and (behind_m / closing < 1.5 or behind_m < 0.5):
        return Obstacle.STOP
    return Obstacle.CAUTION if closing > 0.1 and behind_m / closing < 3.0 else Obstacle.CLEAR


def _marks(random: Random, seconds: list[Second], near_falls: int, falls: int) -> list[Mark]:
    """What happened; falls and near-falls change the seconds too."""
    id_ = seconds[0].session
    marks: list[Mark] = []
    last_s = -10.0
    for before, one in pairwise(seconds):
        if one.obstacle == Obstacle.STOP != before.obstacle and one.t_s - last_s >= 10.0:
            last_s = one.t_s
            marks.append(Mark(id_, one.t_s, "obstacle", "" if one.behind_m is None else f"{one.behind_m:.2f} m behind"))
        if one.phase != before.phase and one.phase in (Phase.DONE, Phase.REST):
            marks.append(Mark(id_, one.t_s, "coach", "dose done" if one.phase == Phase.DONE else "rest"))
    work = [place for place, one in enumerate(seconds) if one.phase == Phase.WORK][2:-8]
    for place in sorted(random.sample(work, near_falls)):
        marks += [Mark(id_, place + 0.4, "imminent_fall"), Mark(id_, place + 2.1, "near_fall", "a step regained the balance")]
        seconds[place] = replace(seconds[place], state=State.IMMINENT, lean_deg=round((seconds[place].lean_deg or 0.0) - 14.0, 1))
        for later in seconds[place + 1 : place + 5]:
            seconds[int(later.t_s)] = replace(later, speed_m_s=0.0, cadence=0.0)
    for place in random.sample(work, falls):
        marks += [Mark(id_, place + 0.5, "fall_suspected", "trunk 78° from vertical"), Mark(id_, place + 6.2, "cancelled", "button")]
        for down in seconds[place : place + 7]:
            seconds[int(down.t_s)] = replace(down, state=State.DOWN, speed_m_s=0.0, cadence=0.0, lean_deg=None, obstacle=Obstacle.UNKNOWN)
    return sorted(marks, key=lambda mark: mark.t_s)


# --- the plan, and the damage


def _next_dose(dose: float, one: Summary) -> tuple[float, str]:
    """A tenth more after a clean session that reached its dose; whole steps."""
    if one.near_falls or one.falls:
        return dose, "held: the last session had a near-fall" if one.near_falls else "held: the last session had a fall"
    if one.reason is None:
        return dose, "held: the last session was not done"
    step = 10.0 if one.unit == "s" else 1.0
    grown = max(dose + step, round(dose * 1.07 / step) * step)
    return grown, f"grown by {round(100 * (grown / dose - 1))} %: the last session was done without a near-fall"


def _tear(path: Path, session: str) -> None:
    """Overwrite one page that holds nothing but seconds of this session, as a worn-out card does."""
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    for begin in range(0, len(data), size):
        page = data[begin : begin + size]
        rows = int.from_bytes(page[3:5], "big")
        if page[0] == 0x0A and rows > 10 and page.count(session.encode()) == rows:  # a leaf of an index or of a table without rowid
            data[begin : begin + size] = bytes(size)
            path.write_bytes(data)
            return
    raise ValueError(f"no page of {session} alone")


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


if __name__ == "__main__":
    raise SystemExit(main())
