"""From the broker into the tables: whatever devices say is checked, stored with its push jobs, and only then receipted.

Theory of operation. paho's thread checks each message and adds it to what waits (waiting.py). One thread of ours stores that in one
transaction: at once if it holds an event or a change that somebody should see, else every flush_s, because a commit costs a disk's turn.
After the commit, and only then, each event is receipted to its device and confirmed to the broker.

A write that fails changes nothing: the batch goes back, nothing is receipted, the trouble is logged and shown, and the same is tried
again every retry_s. The devices repeat meanwhile. One event that the database refuses for itself (and not for its own state) is set apart,
so that it does not hold the others. What is no message of a device's is counted, logged (each kind the 1st, 2nd, 4th ... time, so that a
flood fills no disk), confirmed, and not receipted.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from guardian.contract import BadPayload, Topics
from guardian.station.heard import HeardAvailability, HeardEvent, HeardState, Stored
from guardian.station.line import Line, Message
from guardian.station.live import Live
from guardian.station.loop import Loop
from guardian.station.payloads import StatePayload, parse_availability, parse_event, parse_state, parse_topic
from guardian.station.settings import Settings
from guardian.station.store import JobsFor, Store
from guardian.station.waiting import Waiting

log = logging.getLogger(__name__)

REVIVE_S = 1.0
KINDS_MAX = 1000  # kinds of refusals told apart
CLOSE_S = 5.0

Urgent = tuple[Any, ...]  # what of a state is written at once when it changes
Slot = tuple[int, str]


class Intake:
    """Stores what the line hears, between start() and close(). `wake`: there are push jobs to send."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        live: Live,
        jobs_for: JobsFor,
        clock: Callable[[], datetime],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.refused = 0  # messages that are none of a device's
        self.stored = 0  # events, each once
        self.repeated = 0  # events that were stored before
        self.dropped = 0  # events beyond waiting_max
        self.line = Line(settings, self._hear, self._line_changed, clock)
        self._settings, self._store, self._live, self._jobs_for, self._clock, self._wake = settings, store, live, jobs_for, clock, wake
        self._root = settings.broker.root
        self._kinds: Counter[str] = Counter()
        self._news = threading.Condition()
        self._waiting = Waiting()
        self._devices: set[str] = set()
        self._urgent: dict[str, Urgent] = {}
        self._slots: dict[str, Slot] = {}
        self._failing_s: float | None = None  # monotonic: since when nothing could be stored
        self._owed = False  # the broker holds events that were dropped here
        self._closed = False
        self._loop = Loop("intake", self._run, max(settings.intake.flush_s, settings.intake.retry_s))

    def start(self) -> None:
        """Listen. Raises SQLAlchemyError when the tables cannot be read."""
        self._devices = {known.device for known in self._store.overview()}
        self.line.start()
        self._loop.start()

    def close(self) -> None:
        """Take no more, store and receipt what came, and disconnect."""
        self.line.share(False)
        with self._news:
            self._closed = True
            self._news.notify_all()
        if self._loop.ident is not None:
            self._loop.join(CLOSE_S)
        self.line.close()

    def works(self) -> bool:
        """Whether what is heard is still being stored, or tried; for the watchdog."""
        return self._loop.works()

    # --- hearing, in paho's thread

    def _hear(self, message: Message) -> None:
        now = self._clock()
        device = ""
        try:
            device, leaf = parse_topic(self._root, message.topic)
            self._admit(device)
            with self._news:
                if leaf == "event":
                    self._hear_event(device, message, now)
                elif leaf == "state":
                    self._hear_state(device, message, now)
                else:
                    self._hear_availability(device, message, now)
                if self._waiting.hurry:
                    self._news.notify_all()
        except BadPayload as error:
            self._refuse(device or "(no device)", message.topic, str(error))
            self.line.confirm(message)

    def _admit(self, device: str) -> None:
        if device not in self._devices:
            if len(self._devices) >= self._settings.intake.wearers_max:
                raise BadPayload(f"a new device, and intake.wearers_max = {self._settings.intake.wearers_max} are known")
            self._devices.add(device)

    def _hear_event(self, device: str, message: Message, now: datetime) -> None:
        event = parse_event(message.payload)
        if len(self._waiting.events) < self._settings.intake.waiting_max:
            self._waiting.add_event(HeardEvent(device, event, now), message)
        else:
            self.dropped += 1  # neither receipted nor confirmed: the device repeats it, and the broker on the next connection
            self._owed = True

    def _hear_state(self, device: str, message: Message, now: datetime) -> None:
        if not message.payload:  # what was retained has been taken away: availability tells
            return
        state = parse_state(message.payload)
        self._waiting.add_state(HeardState(device, state, message.payload.decode(), None if message.retained else now))
        urgent = (state.state, state.alarm_id, state.power, state.session, state.boot)
        if self._urgent.get(device) != urgent:
            self._urgent[device] = urgent
            self._waiting.hurry = True
        if not message.retained:
            self._trace(device, state, now)

    def _hear_availability(self, device: str, message: Message, now: datetime) -> None:
        word = parse_availability(message.payload)
        self._waiting.add_availability(HeardAvailability(device, word, None if message.retained else now))

    def _trace(self, device: str, state: StatePayload, now: datetime) -> None:
        """One point in each slot, and one for each other obstacle answer in it; every station works out the same slots."""
        intake = self._settings.intake
        step_s = intake.trace_s if state.session is not None else max(intake.trace_s, intake.trace_idle_s)
        slot = int(now.timestamp() // step_s * step_s // intake.trace_s)
        if self._slots.get(device) == (slot, state.obstacle):
            return
        self._slots[device] = (slot, state.obstacle)
        point = {
            "device": device,
            "slot": slot,
            "obstacle": str(state.obstacle),
            "at": now,
            "state": str(state.state),
            "distance_m": state.distance_m,
            "steps": state.steps,
            "cadence": state.cadence,
            "battery": state.battery,
            "exercise": state.exercise,
            "session": state.session,
        }
        self._waiting.add_point((device, slot, str(state.obstacle)), point)

    def _line_changed(self) -> None:
        self._live.heard(self.line.listening_since, self.line.why)

    def _refuse(self, device: str, what: str, why: str) -> None:
        self.refused += 1
        kind = device if device in self._kinds or len(self._kinds) < KINDS_MAX else "(others)"
        self._kinds[kind] += 1
        if self._kinds[kind] & (self._kinds[kind] - 1) == 0:
            log.warning("refused, no. %d of %s: %.100s: %.200s", self._kinds[kind], kind, ascii(what), ascii(why))

    # --- storing, in a thread of its own

    def _run(self) -> None:
        intake = self._settings.intake
        flushed_s = revived_s = time.monotonic()
        while True:
            self._loop.turned()
            with self._news:
                self._news.wait_for(lambda: self._closed or self._waiting.hurry, intake.flush_s)
                now_s = time.monotonic()
                closed = self._closed
                due = closed or self._waiting.hurry or now_s - flushed_s >= intake.flush_s
                waiting = self._waiting.take(intake.batch_max) if due and self._waiting else None
            if now_s - revived_s >= REVIVE_S and not closed:
                revived_s = now_s
                self.line.start()  # nothing while paho's thread lives
            if waiting is not None:
                flushed_s = now_s
                if not self._store_all(waiting) and not closed:
                    with self._news:
                        self._news.wait_for(lambda: self._closed, intake.retry_s)
            if closed and (waiting is None or self._failing_s is not None):
                return

    def _store_all(self, waiting: Waiting) -> bool:
        """Store, then receipt. False: it could not be stored now, and waits again."""
        self._loop.turned()
        try:
            stored = self._store.write(waiting.batch(), self._jobs_for, self._clock())
        except Exception as error:  # noqa: BLE001  (whatever it is, the other messages must go on)
            return self._store_one_by_one(waiting, error) if _is_of_the_message(error) else self._failed(waiting, error)
        self._stored(waiting, stored)
        return True

    def _stored(self, waiting: Waiting, stored: Stored) -> None:
        if self._failing_s is not None:
            log.warning("stored again, after %.0f s", time.monotonic() - self._failing_s)
            self._failing_s = None
            self.line.share(True)
            self._live.stored("")
        if stored.new:
            self._wake()
        self._live.touch(waiting.devices())
        self.stored += len(stored.new)
        self.repeated += len(stored.known)
        self._receipt((event.device, event.id) for event in stored.new)
        self._receipt((one.device, one.event.id) for one in stored.known)
        for one in stored.foreign:
            self._refuse(one.device, one.event.id, "an event of this id was told by another device")
        for message in waiting.messages():
            self.line.confirm(message)
        if self._owed and not self._waiting.events:
            self._owed = False
            self.line.again()

    def _receipt(self, told: Iterable[tuple[str, str]]) -> None:
        for device, event_id in told:
            self.line.publish(Topics(self._root, device).receipt, msgspec.json.encode({"id": event_id}))

    def _failed(self, waiting: Waiting, error: Exception) -> bool:
        now_s = time.monotonic()
        why = f"nothing can be stored: {_cause(error)}"
        if self._failing_s is None:
            self._failing_s = now_s
            log.error("%s. Nothing is receipted, the devices repeat; tried again every %g s", why, self._settings.intake.retry_s)
        self._live.stored(why)
        if now_s - self._failing_s >= self._settings.intake.step_aside_s:
            self.line.share(False)
        with self._news:
            self._waiting.put_back(waiting)
        return False

    def _store_one_by_one(self, waiting: Waiting, error: Exception) -> bool:
        """Something in the batch cannot be stored as it is: find it, set it apart, keep the rest."""
        parts = waiting.parts()
        if len(parts) > 1:
            done = True
            for part in parts:
                done &= self._store_all(part)
            return done
        self._refuse(next(iter(waiting.devices()), "(trace)"), "cannot be stored", _cause(error))
        log.error("one message is left out and not receipted: %s", _cause(error), exc_info=not isinstance(error, SQLAlchemyError))
        for message in waiting.messages():
            self.line.confirm(message)
        return True


def _is_of_the_message(error: Exception) -> bool:
    """Whether the fault lies in what was to be written; else it is the database's, and the same may succeed later."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError) and not error.connection_invalidated
    return isinstance(error, StatementError) or not isinstance(error, SQLAlchemyError)


def _cause(error: Exception) -> str:
    """Why, without the statement and its values: they are health data."""
    return f"{type(error).__name__}: {getattr(error, 'orig', None) or error}".splitlines()[0]
