"""The journal: what must outlive a restart, on disk before it sounds. An open alarm, an open session, the state, the exercise.

Theory of operation. One small JSON file, replaced whole: written beside, fsynced, renamed over, the folder fsynced. After a power cut there
is either the old or the new one, never half of each, and a person can read it. It is written when the state, the alarm, the session or
the exercise changes (IMMINENT counts as GUARDING: half a second before an impact is no time to wait for a card, and after a restart in it
the nets below the model take over), and for the session's steps at most every journal_steps_s. Where an alarm or a session changes,
apply waits for the disk up to store_wait_ms, and then goes on with a fault. Runs before the outbox, on the same writer (see there).
"""

import contextlib
import errno
import logging
import os
from pathlib import Path

import msgspec
from msgspec.structs import replace

from guardian.config import OutboxConfig, ns
from guardian.frame import Fault, Frame
from guardian.outputs.writer import Writer
from guardian.verdict import Alarm, Resume, Session, State, Verdict

log = logging.getLogger(__name__)

ALARM = (State.DOWN, State.FALLEN)


class Journal:
    """An output that keeps the file at `path`; `install` and `boot` are this run's, from Outbox.identity(). Never raises."""

    name = "journal"

    def __init__(self, path: Path, config: OutboxConfig, writer: Writer, install: str, boot: int) -> None:
        self._path = path
        self._writer = writer
        self._wait_s = config.store_wait_ms / 1000
        self._steps_ns = ns(config.journal_steps_s)
        self._retry_ns = ns(config.store_retry_s)
        self._said_ns = ns(config.damage_said_s)
        self._blank = Resume(install, boot)
        # (number of urgent changes so far, what to keep): now, and as it is on disk (set in the writer's thread)
        self._latest: tuple[int, Resume] = (0, self._blank)
        self._written: tuple[int, Resume] | None = None
        self._state: State | None = None  # what the last verdict said, compared each tick
        self._alarm: Alarm | None = None
        self._session: Session | None = None
        self._exercise = ""
        self._damage = ""
        self._damage_until_ns = 0
        self._trouble: Fault | None = None
        self._late = False  # an urgent change was not on disk when apply went on
        self._next_ns = 0  # next look at what is not urgent: steps, a retry

    def load(self) -> Resume | None:
        """What the last run left, with this run's identity; None: nothing, or nothing readable (which is then set aside, and said)."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Resume)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._damage = f"journal: {error}; set aside as {self._path}.damaged"
            log.error("%s", self._damage)
            with contextlib.suppress(OSError):
                self._path.replace(self._path.with_name(self._path.name + ".damaged"))
            return None
        return replace(
            found,
            install=self._blank.install,
            boot=self._blank.boot,
            alarm=replace(found.alarm, t_ns=0) if found.alarm else None,  # times were of another boot's clock
            session=replace(found.session, t_ns=0) if found.session else None,
        )

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Write what changed."""
        session = verdict.session
        if (
            verdict.state is not self._state
            or verdict.alarm is not self._alarm
            or session is not self._session
            or verdict.exercise != self._exercise
        ):
            self._changed(verdict)
        if self._trouble is not None:  # it came after the last look
            self._next_ns = min(self._next_ns, verdict.t_ns + self._retry_ns)
        if verdict.t_ns >= self._next_ns:
            self._look(verdict.t_ns)

    def faults(self) -> tuple[Fault, ...]:
        """A file that could not be read or written, or a card that stalls."""
        told = [Fault("output_failed", self._damage)] if self._damage else []
        if self._trouble:
            told.append(self._trouble)
        elif self._late and (self._written is None or self._written[0] < self._latest[0]):
            told.append(Fault("output_failed", "journal: the card does not take it in time; it may be worn out"))
        return tuple(told)

    def close(self) -> None:
        """Write what is left."""
        if self._written is not self._latest:
            self._writer.submit(self._write, max(self._wait_s, 1.0))

    def _changed(self, verdict: Verdict) -> None:
        session, state = verdict.session, verdict.state
        self._state, self._alarm, self._session, self._exercise = state, verdict.alarm, session, verdict.exercise
        state = State.GUARDING if state is State.IMMINENT else state
        number, before = self._latest
        latest = Resume(before.install, before.boot, state, verdict.alarm, session, verdict.exercise)
        opened = latest.alarm != before.alarm or (session and session.id) != (before.session and before.session.id)
        opened = opened or (state in ALARM and state is not before.state)
        if opened or state is not before.state or latest.exercise != before.exercise:
            self._latest = number + 1, latest
            done = self._writer.submit(self._write, self._wait_s if opened else 0.0)
            self._late = opened and not done
        elif latest != before:
            self._latest = number, latest  # steps go with the next write, or in a while

    def _look(self, now_ns: int) -> None:
        """What is not urgent: steps, a write that failed or was refused, a damage said long enough."""
        self._next_ns = now_ns + (self._retry_ns if self._trouble or self._late else self._steps_ns)
        if self._written is not self._latest:
            self._writer.submit(self._write)
        if self._damage and not self._damage_until_ns:
            self._damage_until_ns = now_ns + self._said_ns
        elif self._damage and now_ns >= self._damage_until_ns:
            self._damage = ""

    def _write(self) -> None:
        """Replace the file; in the writer's thread. Raises OSError."""
        latest = self._latest
        if self._written is latest:
            return
        beside = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(latest[1]))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            name = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "output_failed"
            self._trouble = Fault(name, f"journal: {error}")
            raise
        self._written, self._trouble = latest, None
