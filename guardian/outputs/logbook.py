"""The logbook: each session into the database of sessions, second by second, and from it the plan's doses back to the monitor.

Theory of operation. The loop's half (Logbook) only notes entries: a session began or goes on after a restart, a second passed, an event
happened in it, it ended. They go to the disk's half (_Book), seconds every batch_s (every store_retry_s while the card fails) and all else
at once, in the thread of a writer of its own: an alarm never waits behind a second of somebody's walk. One job, `_sync`, writes all that
waits in one transaction; it may be submitted as often as anyone likes, and what could not be written waits for the next. What waits is
bounded (rows_max): the oldest seconds go first, counted.

Entries carry the loop's clock. The book turns it into seconds since the session began and, as soon as the wall clock is set in this boot,
into UTC: a session that began before that, even one that is over, is dated backward. One that is resumed after a restart goes on in its
row; how long the gap was only the wall clock can tell, else it is shown as UNKNOWN_GAP_S. While a session goes on its row holds what is
known so far, so that a flat battery leaves more than a name; session_ended's evidence then replaces it, value by value.

The plan (plan.py) is computed anew from the database when that is opened, when the clock becomes known, after each session and every
again_s, for each exercise with a dose but the one under way. What changed goes to the monitor as a command, through the frames like all
that it may know, so that a recording replays; and into table plan.

A damaged database is set aside, said, and begun anew. None of this is a reason to restart a device that guards: the watchdog does not
look.
"""

import errno
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from guardian import sessions
from guardian.config import Config, ns
from guardian.frame import Command, Fault, Frame
from guardian.outputs.plan import NO_SESSION, Past, planned
from guardian.outputs.writer import Writer
from guardian.sessions import Damaged, Mark, Planned, Second, SessionsError, Summary
from guardian.verdict import Event, Evidence, Obstacle, Session, Verdict

log = logging.getLogger(__name__)

LOGBOOK_JOBS = 4  # its writer never holds more than a write and the closing
SECOND_NS = 1_000_000_000
DAY_S = 86_400
MB = 1_000_000
UNKNOWN_GAP_S = 30.0  # about what a Pi needs from power-on to the first tick
UNDATED_MOST = 100  # ended sessions of this run that wait for the clock
MARKS = frozenset({
    "obstacle", "near_fall", "imminent_fall", "fall_suspected", "fall", "sos", "cancelled", "cleared", "fault", "not_guarding", "guarding",
    "coach",
})  # fmt: skip
UNITS = (("_m_s", " m/s"), ("_deg", "°"), ("_m", " m"), ("_s", " s"), ("_g", " g"))  # ends of evidence's names
WORST: dict[Obstacle, int] = {Obstacle.CLEAR: 0, Obstacle.UNKNOWN: 1, Obstacle.CAUTION: 2, Obstacle.STOP: 3}
FALLS = ("fall", "fall_suspected")  # the plan holds after either: a cancelled one may have been a fall that somebody got up from
FROM_EVIDENCE = frozenset(sessions.COLUMNS["session"]) - {"id", "exercise", "started_utc", "ended_utc"}


class Dose(NamedTuple):
    """An exercise's dose, as its row bounds it: of one set, in `unit`."""

    unit: str
    start: float
    most: float
    sets: int = 1


class _Began(NamedTuple):
    """A session began, or (`fresh` False) is found open after a restart."""

    t_ns: int
    session: str
    exercise: str
    fresh: bool


class _Passed(NamedTuple):
    """A second passed. `row`: what it was like; its t_s is filled in by the book. `so_far`: what the session has come to."""

    t_ns: int
    session: str
    exercise: str
    row: Second
    so_far: Session


class _Happened(NamedTuple):
    """An event within the session."""

    t_ns: int
    session: str
    exercise: str
    event_type: str
    detail: str


class _Ended(NamedTuple):
    """A session ended, and what session_ended told of it."""

    t_ns: int
    session: str
    exercise: str
    evidence: Evidence


_Entry = _Began | _Passed | _Happened | _Ended


class _Now(NamedTuple):
    """The moment of a hand-over on the loop's clock and on the wall's, s since 1970 (None: it is not set)."""

    t_ns: int
    utc_s: float | None

    def utc_of(self, t_ns: int) -> float | None:
        """Another moment of the loop's clock in UTC."""
        return None if self.utc_s is None else round(self.utc_s - (self.t_ns - t_ns) / 1e9, 3)


class Logbook:
    """An output that keeps the database at `path`. `writer`: its own; `wall`: UTC now, None until the clock is set in this boot.

    `doses`: of each exercise that has one; `ask` puts a command into the next frame and may be called from another thread. Never raises.
    """

    name = "logbook"

    def __init__(
        self,
        path: Path,
        config: Config,
        doses: Mapping[str, Dose],
        writer: Writer,
        wall: Callable[[], datetime | None],
        ask: Callable[[Command], None],
    ) -> None:
        self.dropped = 0  # entries that were never written
        self._book = _Book(path, config, doses, ask)
        self._writer = writer
        self._wall = wall
        self._rows_max = config.logbook.rows_max
        self._batch_ns = ns(config.logbook.batch_s)
        self._retry_ns = ns(config.outbox.store_retry_s)
        self._again_ns = ns(config.plan.again_s)
        self._stall_s = config.logbook.stall_s
        self._said_ns = ns(config.outbox.damage_said_s)
        self._entries: list[_Entry] = []
        self._open = ""  # id of the session under way
        self._second_ns = self._due_ns = self._plan_ns = 0
        self._damage_until_ns: int | None = None
        self._stalled = False
        # the second under way
        self._worst = Obstacle.CLEAR
        self._nearest_m: float | None = None
        # shared with the writer's thread, under the lock
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._now = _Now(0, _seconds(wall()))
        self._plan_due = True
        self._queued = False
        self._trouble: Fault | None = None
        self._dated = self._now.utc_s is not None  # whether the plan was asked with a date
        self._push()  # open it, and tell the first frames their doses

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Note what happened; hand it over when it is time."""
        t_ns, session = verdict.t_ns, verdict.session
        at_once = False
        if verdict.events or (session.id if session else "") != self._open:
            at_once = self._follow(verdict)
        if session is not None:
            distance_m = verdict.gap.distance_m
            if distance_m is not None and (self._nearest_m is None or distance_m < self._nearest_m):
                self._nearest_m = distance_m
            if verdict.obstacle is not self._worst and WORST[verdict.obstacle] > WORST[self._worst]:
                self._worst = verdict.obstacle
            if t_ns >= self._second_ns:
                self._pass(verdict, session)
        if self._trouble is not None and self._due_ns - t_ns > self._retry_ns:  # the card may be well again before a batch is full
            self._due_ns = t_ns + self._retry_ns
        if t_ns >= self._due_ns or at_once:
            self._hand_over(t_ns)

    def faults(self) -> tuple[Fault, ...]:
        """A card that is full, fails or does not answer; a database that was set aside."""
        if not (self._trouble or self._stalled or self._damage_until_ns):
            return ()
        told = [self._trouble] if self._trouble else []
        if self._stalled and not told:
            told.append(Fault("output_failed", "logbook: the card does not take the session's rows; it may be worn out"))
        if self._damage_until_ns:
            told.append(Fault("output_failed", self._book.damage))
        return tuple(told)

    def close(self) -> None:
        """Write what is left. The writer's own close waits for it."""
        self._give(self._entries)
        self._entries = []
        self._push()
        self._writer.submit(self._book.close)

    # --- the loop's half

    def _follow(self, verdict: Verdict) -> bool:
        """Take the verdict's events, and see which session is open after them. True: hand over at once, the power may not last.

        An alarm that a restart tells again comes before its session is taken up here: it is in the row already.
        """
        before = len(self._entries)
        for event in verdict.events:
            if event.event_type == "session_started":
                self._begin(event.t_ns, event.id, event.exercise, fresh=True)
            elif event.event_type == "session_ended":
                ended = str(event.evidence.get("session", self._open))
                self._entries.append(_Ended(event.t_ns, ended, event.exercise, event.evidence))
                self._open = ""
            elif self._open and event.event_type in MARKS:
                self._entries.append(_Happened(event.t_ns, self._open, event.exercise, event.event_type, detail_of(event)))
        session = verdict.session
        if session is None:
            self._open = ""
        elif session.id != self._open:
            self._begin(verdict.t_ns, session.id, session.exercise, fresh=False)
        return len(self._entries) > before

    def _begin(self, t_ns: int, session: str, exercise: str, fresh: bool) -> None:
        self._entries.append(_Began(t_ns, session, exercise, fresh))
        self._open, self._second_ns = session, t_ns
        self._worst, self._nearest_m = Obstacle.CLEAR, None

    def _pass(self, verdict: Verdict, session: Session) -> None:
        """One row of the timeline: the worst answer and the nearest echo of the second, all else as it is now."""
        t_ns, motion = verdict.t_ns, verdict.motion
        self._second_ns += SECOND_NS
        if self._second_ns <= t_ns:  # the loop stood still: no row is made up for what nobody saw
            self._second_ns = t_ns + SECOND_NS
        row = Second(
            session.id,
            0.0,
            motion.speed_m_s,
            motion.cadence,
            motion.lean_deg,
            self._nearest_m,
            str(self._worst),
            str(verdict.state),
            str(verdict.training.phase) if verdict.training else None,
        )
        self._entries.append(_Passed(t_ns, session.id, session.exercise, row, session))
        self._worst, self._nearest_m = verdict.obstacle, verdict.gap.distance_m

    def _hand_over(self, t_ns: int) -> None:
        self._due_ns = t_ns + self._batch_ns
        now = _Now(t_ns, _seconds(self._wall()))
        if not self._plan_ns:
            self._plan_ns = t_ns + self._again_ns
        plan = t_ns >= self._plan_ns or (now.utc_s is not None and not self._dated)
        if plan:
            self._plan_ns, self._dated = t_ns + self._again_ns, now.utc_s is not None
        entries, self._entries = self._entries, []
        self._give(entries)
        with self._lock:
            self._now = now
            self._plan_due = self._plan_due or plan
            wanted = bool(self._waiting) or self._plan_due or self._trouble is not None
        if wanted:
            self._push()
        self._stalled = self._writer.stalled_s(t_ns) > self._stall_s
        if self._book.damage and self._damage_until_ns is None:
            self._damage_until_ns = t_ns + self._said_ns
        elif self._damage_until_ns and t_ns >= self._damage_until_ns:
            self._damage_until_ns = 0

    def _give(self, entries: Sequence[_Entry]) -> None:
        with self._lock:
            self._waiting += entries
            self._limit()

    def _limit(self) -> None:
        """At most rows_max wait: the oldest seconds go, then the oldest of all. Under the lock."""
        too_many = len(self._waiting) - self._rows_max
        if too_many <= 0:
            return
        seconds = [i for i, entry in enumerate(self._waiting) if isinstance(entry, _Passed)][:too_many]
        doomed = set(seconds) or set(range(too_many))
        self._waiting = [entry for i, entry in enumerate(self._waiting) if i not in doomed]
        self._lose(len(doomed), "the card has not taken them for long")

    def _lose(self, entries: int, why: str) -> None:
        """Count them. Under the lock."""
        before, self.dropped = self.dropped, self.dropped + entries
        if before.bit_length() != self.dropped.bit_length():  # at 1, 2, 4, 8 ...
            log.error("%d rows of the session were not written: %s", self.dropped, why)

    def _push(self) -> None:
        with self._lock:
            if self._queued:
                return
            self._queued = True
        refused = self._writer.dropped
        self._writer.submit(self._sync)
        if self._writer.dropped != refused:
            self._queued = False  # tried again with the next batch

    # --- in the writer's thread

    def _sync(self) -> None:
        """Write what waits; then the plan, if it is due."""
        with self._lock:
            entries, self._waiting, self._queued = self._waiting, [], False
            plan, self._plan_due, now = self._plan_due, False, self._now
        written = False
        try:
            plan = self._book.write(entries, now) or plan
            written = True
            if plan:
                self._book.plan(now)
        except (sqlite3.Error, OSError, SessionsError) as error:
            keep = not (written or isinstance(error, sqlite3.IntegrityError | sqlite3.DataError))
            with self._lock:
                self._plan_due = self._plan_due or plan
                if keep:
                    self._waiting = entries + self._waiting
                    self._limit()
                elif not written:  # it would fail for ever, and hold up all others
                    self._lose(len(entries), str(error))
            self._trouble = _trouble(error)
            raise
        except Exception as error:
            if not written:
                with self._lock:
                    self._lose(len(entries), repr(error))
            self._trouble = _trouble(error)
            raise
        self._trouble = None


class _Page(Struct, frozen=True):
    """A session of this run: its row so far, and when it began and ended on the loop's clock."""

    row: Summary
    origin_ns: int  # where its t_s is 0; before power-on for one that is resumed
    on_clock: bool  # that is when it began: the wall clock, once it is set, dates it
    ended_ns: int | None = None

    def t_s(self, t_ns: int) -> float:
        """Time since it began."""
        return max(0, round((t_ns - self.origin_ns) / 1e9, 3))


class _Book:
    """The disk's half: runs in the writer's thread. `damage` is read in the loop's."""

    def __init__(self, path: Path, config: Config, doses: Mapping[str, Dose], ask: Callable[[Command], None]) -> None:
        self.damage = ""  # what was found, and where it was put
        self._path = path
        self._config = config.logbook
        self._policy = config.plan
        self._doses = doses
        self._ask = ask
        self._db: sqlite3.Connection | None = None
        self._pages: dict[str, _Page] = {}  # under way, or ended and not dated yet
        # exercise -> value of the last command; the coach begins with the start by itself
        self._told = {exercise: f"{dose.start:g} {NO_SESSION}" for exercise, dose in doses.items()}
        self._swept_s: float | None = None

    def write(self, entries: Sequence[_Entry], now: _Now) -> bool:
        """All of these in one transaction; True: a session ended. What raises has changed nothing, and may be asked again."""
        return self._on_a_sound_file(partial(self._write, entries, now))

    def plan(self, now: _Now) -> None:
        """Forget what is too old, and compute the doses."""
        self._on_a_sound_file(partial(self._plan, now))

    def close(self) -> None:
        """The end: the file's log is folded in."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _on_a_sound_file(self, job: Callable[[sqlite3.Connection], bool]) -> bool:
        """Do it; where the file turns out to be damaged it is set aside, and the same is done on a new one."""
        try:
            return job(self._opened())
        except (sqlite3.Error, Damaged) as error:
            if isinstance(error, sqlite3.Error) and not sessions.is_damage(error):
                raise
            self.close()
            self.damage = f"logbook: {error}; set aside as {sessions.set_aside(self._path)}"
            log.error("%s", self.damage)
        return job(self._opened())

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sessions.open_for_writing(self._path)
        return self._db

    # --- entries into rows

    def _write(self, entries: Sequence[_Entry], now: _Now, db: sqlite3.Connection) -> bool:
        pages, seconds, marks = dict(self._pages), list[Second](), list[Mark]()
        for entry in entries:
            page = pages.get(entry.session) or self._page(entry, now, db)
            t_s = page.t_s(entry.t_ns)
            match entry:
                case _Began():
                    pages = {id_: other for id_, other in pages.items() if other.ended_ns is not None}
                case _Passed():
                    seconds.append(replace(entry.row, t_s=t_s))
                    page = replace(page, row=_so_far(page.row, entry.so_far))
                case _Happened():
                    marks.append(Mark(entry.session, t_s, entry.event_type, entry.detail))
                    if entry.event_type == "fall":
                        page = replace(page, row=replace(page.row, falls=page.row.falls + 1))
                case _Ended():
                    page = replace(page, row=_summed_up(page.row, entry.evidence), ended_ns=entry.t_ns)
            pages[entry.session] = page
        pages = {id_: _dated(page, now) for id_, page in pages.items()}
        rows = [page.row for id_, page in pages.items() if page != self._pages.get(id_)]
        if rows or seconds or marks:
            sessions.write(db, summaries=rows, seconds=seconds, marks=marks)
        waiting = [id_ for id_, page in pages.items() if page.ended_ns is None or page.row.ended_utc is None]
        self._pages = {id_: pages[id_] for id_ in waiting[-UNDATED_MOST:]}
        return any(isinstance(entry, _Ended) for entry in entries)

    def _page(self, entry: _Entry, now: _Now, db: sqlite3.Connection) -> _Page:
        """The page of a session that this run does not know yet: it begins, or goes on after a restart."""
        if isinstance(entry, _Began) and entry.fresh:
            return _Page(Summary(entry.session, entry.exercise), entry.t_ns, on_clock=True)
        row = next((one for one in sessions.read_sessions(db)[0] if one.id == entry.session), None)
        if row is None:  # its database was lost; when it began is not known
            return _Page(Summary(entry.session, entry.exercise), entry.t_ns, on_clock=False)
        last_s = sessions.last_second(db, entry.session) or 0.0
        origin_ns = entry.t_ns - ns(last_s + UNKNOWN_GAP_S)
        entry_utc = now.utc_of(entry.t_ns)
        if row.started_utc is not None and entry_utc is not None and entry_utc - row.started_utc > last_s:
            origin_ns = entry.t_ns - ns(entry_utc - row.started_utc)
        return _Page(row, origin_ns, on_clock=False)

    # --- the plan

    def _plan(self, now: _Now, db: sqlite3.Connection) -> bool:
        """Each exercise's dose: told where it changed, and kept. Not of the exercise under way, which keeps the dose it began with."""
        self._sweep(now, db)
        open_ = {id_: page.row.exercise for id_, page in self._pages.items() if page.ended_ns is None}
        rows = [row for row in sessions.read_sessions(db)[0] if row.id not in open_]
        falls, near_falls = sessions.count_marks(db, FALLS), sessions.count_marks(db, ("near_fall",))
        known = {plan.exercise: plan for plan in sessions.read_plans(db)[0]}
        plans: list[Planned] = []
        for exercise, dose in self._doses.items():
            if exercise in open_.values():
                continue
            own = [(row, _past(row, dose.sets, falls, near_falls)) for row in rows if row.exercise == exercise]
            history = [past for row, past in own if row.done or past.falls or past.near_falls]  # who chose it in passing did not train
            asked, why = planned(history, now.utc_s, dose.start, dose.most, self._policy)
            value = f"{asked:g} {why}"
            if self._told.get(exercise) != value:
                self._told[exercise] = value
                self._ask(Command("dose", exercise, value=value))
            before = known.get(exercise)
            since = before.changed_utc if before is not None and before.dose == asked else now.utc_s
            plan = Planned(exercise, asked, dose.unit, since, why)
            if plan != before:
                plans.append(plan)
        if plans:
            sessions.write(db, plans=plans)
        return True

    def _sweep(self, now: _Now, db: sqlite3.Connection) -> None:
        """Once a day, with a known date: old sessions go, and the oldest timelines where all of them take too much room."""
        if now.utc_s is None or (self._swept_s is not None and abs(now.utc_s - self._swept_s) < DAY_S):
            return
        gone = sessions.prune(db, now.utc_s, self._config.keep_days)
        thinned = sessions.forget_seconds(db, self._config.timeline_mb * MB)
        if gone or thinned:
            log.info("%d sessions are older than keep_days and forgotten; of %d more the seconds, for room", gone, thinned)
        self._swept_s = now.utc_s


def _seconds(utc: datetime | None) -> float | None:
    """Since 1970."""
    return None if utc is None else utc.timestamp()


def _past(row: Summary, sets: int, falls: Mapping[str, int], near_falls: Mapping[str, int]) -> Past:
    """A session as the plan sees it; one that never ended properly is dated and counted like the others, and not done."""
    return Past(
        row.ended_utc if row.started_utc is None else row.started_utc,
        row.sets_done >= sets,
        max(row.near_falls, near_falls.get(row.id, 0)),
        max(row.falls, falls.get(row.id, 0)),
    )


def _dated(page: _Page, now: _Now) -> _Page:
    """With the dates that can be told by now."""
    row = page.row
    if row.started_utc is None and page.on_clock:
        row = replace(row, started_utc=now.utc_of(page.origin_ns))
    if row.ended_utc is None and page.ended_ns is not None:
        row = replace(row, ended_utc=now.utc_of(page.ended_ns))
    return page if row is page.row else replace(page, row=row)


def _so_far(row: Summary, session: Session) -> Summary:
    """The row of a session that goes on; which sets are done is told at its end."""
    tally, training = session.tally, session.tally.training
    means = {name: mean.total / mean.weight for name, mean in tally.means.items() if name in FROM_EVIDENCE and mean.weight > 0}
    known: dict[str, Any] = {
        "duration_s": tally.duration_ns / 1e9,
        "steps": session.steps,
        "distance_m": tally.distance_m,
        "stairs": tally.stairs,
        "lunges_left": tally.lunges_left,
        "lunges_right": tally.lunges_right,
        "cautions": tally.cautions,
        "stops": tally.stops,
        "near_falls": tally.near_falls,
    }
    if training is not None:
        known |= {"unit": training.unit, "dose": training.dose, "done": tally.done}
    return replace(row, **known, **means)


def _summed_up(row: Summary, evidence: Evidence) -> Summary:
    """The row as session_ended tells it, value by value: what it does not tell is not known, but for the falls, which were counted here."""
    told = {name: value for name, value in evidence.items() if name in FROM_EVIDENCE}
    kept = {"id": row.id, "exercise": row.exercise, "started_utc": row.started_utc, "falls": row.falls}
    try:
        return msgspec.convert(kept | told, Summary)
    except msgspec.ValidationError as error:
        log.error("session %s: its summary is not kept: %s", row.id, error)
        return replace(row, reason=str(evidence.get("reason", "unknown")))


def detail_of(event: Event) -> str:
    """An event's evidence in one line for people: "distance 0.42 m, closing 0.8 m/s"."""
    told = [str(event.evidence["rule"])] if "rule" in event.evidence else []
    for name, value in event.evidence.items():
        if name == "rule" or value is False:
            continue
        ending, unit = next(((ending, unit) for ending, unit in UNITS if name.endswith(ending)), ("", ""))
        said = "" if value is True else f" {_rounded(value) if isinstance(value, float) else value}{unit}"
        told.append(f"{name.removesuffix(ending).replace('_', ' ')}{said}")
    return ", ".join(told)


def _rounded(value: float) -> str:
    """To three digits, whole from 100 on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _trouble(error: Exception) -> Fault:
    cause = error.__cause__ if isinstance(error, SessionsError) and error.__cause__ else error
    full = getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    if full or (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)):
        return Fault("disk_full", "logbook: the session's rows are kept in memory until there is space")
    return Fault("output_failed", f"logbook: {error}")
