"""From the broker into the tables: whatever devices say is checked, stored with its push jobs, and only then receipted.

Theory of operation. paho's thread checks each message and puts it into the batch that waits: events one after the other, of states and
availabilities the newest for each device, of the trace what belongs to a new slot. One thread of ours stores the batch in one transaction:
at once if it holds an event or a change that somebody should see, else every flush_s, because a commit costs a disk's turn. After the
commit, and only then, each event is receipted to its device and confirmed to the broker.

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
from msgspec import Struct
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from guardian.contract import BadPayload, Topics
from guardian.station.line import Line, Message
from guardian.station.live import Live
from guardian.station.payloads import StatePayload, parse_availability, parse_event, parse_state, parse_topic
from guardian.station.settings import Settings
from guardian.station.store import Batch, HeardAvailability, HeardEvent, HeardState, JobsFor, Store, Stored

log = logging.getLogger(__name__)

REVIVE_S = 1.0
TRACES_MAX = 100_000  # points that wait while nothing can be written, half an hour of 500 wearers
KINDS_MAX = 1000  # kinds of refusals told apart
CLOSE_S = 5.0

Urgent = tuple[Any, ...]  # what of a state is written at once when it changes
Slot = tuple[int, str]


class Waiting(Struct):
    """A batch, and the messages to confirm once it is stored."""

    batch: Batch
    messages: list[Message]
    hurry: bool = False


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
        self.dropped = 0  # events that the broker sent beyond inflight_max
        self.line = Line(settings, self._hear, self._line_changed, clock)
        self._settings, self._store, self._live, self._jobs_for, self._clock, self._wake = settings, store, live, jobs_for, clock, wake
        self._root = settings.broker.root
        self._kinds: Counter[str] = Counter()
        self._news = threading.Condition()
        self._waiting = Waiting(Batch(), [])
        self._devices: set[str] = set()
        self._urgent: dict[str, Urgent] = {}
        self._slots: dict[str, Slot] = {}
        self._failing_s: float | None = None  # monotonic: since when nothing could be stored
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Listen. Raises SQLAlchemyError when the tables cannot be read."""
        self._devices = {known.device for known in self._store.overview()}
        self.line.start()
        self._thread.start()

    def close(self) -> None:
        """Take no more, store and receipt what came, and disconnect."""
        self.line.share(False)
        with self._news:
            self._closed = True
            self._news.notify_all()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)
        self.line.close()

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
        if len(self._waiting.batch.events) >= 2 * self._settings.broker.inflight_max:
            self.dropped += 1  # no receipt: the device repeats it
            return
        self._waiting.batch.events.append(HeardEvent(device, event, now))
        self._waiting.messages.append(message)
        self._waiting.hurry = True

    def _hear_state(self, device: str, message: Message, now: datetime) -> None:
        if not message.payload:  # what was retained has been taken away: availability tells
            return
        state = parse_state(message.payload)
        batch = self._waiting.batch
        before = batch.states.get(device)
        if message.retained and before is not None:
            return  # a live one has come
        batch.states[device] = HeardState(device, state, message.payload.decode(), None if message.retained else now)
        urgent = (state.state, state.alarm_id, state.power, state.session, state.boot)
        if self._urgent.get(device) != urgent:
            self._urgent[device] = urgent
            self._waiting.hurry = True
        if not message.retained:
            self._trace(device, state, now)

    def _hear_availability(self, device: str, message: Message, now: datetime) -> None:
        word = parse_availability(message.payload)
        batch = self._waiting.batch
        if not word:
            batch.states.pop(device, None)
            self._urgent.pop(device, None)
        before = batch.availabilities.get(device)
        if not (message.retained and before is not None and before.at is not None):
            batch.availabilities[device] = HeardAvailability(device, word, None if message.retained else now)
            self._waiting.hurry = True

    def _trace(self, device: str, state: StatePayload, now: datetime) -> None:
        """One point in each slot, and one for each change of the obstacle answer in it; every station works out the same slots."""
        intake, traces = self._settings.intake, self._waiting.batch.traces
        step_s = intake.trace_s if state.session is not None else max(intake.trace_s, intake.trace_idle_s)
        slot = int(now.timestamp() // step_s * step_s // intake.trace_s)
        if self._slots.get(device) == (slot, state.obstacle) or len(traces) >= TRACES_MAX:
            return
        self._slots[device] = (slot, state.obstacle)
        key = (device, slot, str(state.obstacle))
        if key in traces:
            return
        traces[key] = {
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
            with self._news:
                self._news.wait_for(lambda: self._closed or self._waiting.hurry, intake.flush_s)
                now_s = time.monotonic()
                closed, empty = self._closed, _is_empty(self._waiting)
                due = closed or self._waiting.hurry or now_s - flushed_s >= intake.flush_s
                waiting = self._take() if due and not empty else None
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

    def _take(self) -> Waiting:
        """What waits now, of events at most batch_max; the rest stays and hurries."""
        most, batch = self._settings.intake.batch_max, self._waiting.batch
        now = Batch(batch.events[:most], batch.states, batch.availabilities, batch.traces)
        taken = Waiting(now, self._waiting.messages[:most])
        self._waiting = Waiting(Batch(batch.events[most:]), self._waiting.messages[most:], len(batch.events) > most)
        return taken

    def _put_back(self, failed: Waiting) -> None:
        """Nothing of it was stored: it comes first the next time, but never over what is newer."""
        with self._news:
            old, new = failed.batch, self._waiting.batch
            new.events[:0], self._waiting.messages[:0] = old.events, failed.messages
            new.states = {**old.states, **{device: state for device, state in new.states.items() if state.at or device not in old.states}}
            new.availabilities = {**old.availabilities, **new.availabilities}
            new.traces = {**old.traces, **new.traces}
            self._waiting.hurry = True

    def _store_all(self, waiting: Waiting) -> bool:
        """Store, then receipt. False: it could not be stored now, and waits again."""
        try:
            stored = self._store.write(waiting.batch, self._jobs_for, self._clock())
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
        batch = waiting.batch
        self._live.touch({*batch.states, *batch.availabilities, *(one.device for one in batch.events)})
        self.stored += len(stored.new)
        self.repeated += len(stored.known)
        self._receipt((event.device, event.id) for event in stored.new)
        self._receipt((one.device, one.event.id) for one in stored.known)
        for one in stored.foreign:
            self._refuse(one.device, one.event.id, "an event of this id was told by another device")
        for message in waiting.messages:
            self.line.confirm(message)

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
        self._put_back(waiting)
        return False

    def _store_one_by_one(self, waiting: Waiting, error: Exception) -> bool:
        """Something in the batch cannot be stored as it is: find it, set it apart, keep the rest."""
        batch = waiting.batch
        parts = [Waiting(Batch([one]), [message]) for one, message in zip(batch.events, waiting.messages, strict=True)]
        parts += [Waiting(Batch(states={device: one}), []) for device, one in batch.states.items()]
        parts += [Waiting(Batch(availabilities=batch.availabilities, traces=batch.traces), [])]
        if len(batch.events) + len(batch.states) + bool(batch.availabilities or batch.traces) <= 1:
            device = next(iter([*(one.device for one in batch.events), *batch.states]), "(several)")
            self._refuse(device, "cannot be stored", _cause(error))
            log.error("one message is left out and not receipted: %s", _cause(error), exc_info=not isinstance(error, SQLAlchemyError))
            for message in waiting.messages:
                self.line.confirm(message)
            return True
        done = True
        for part in parts:
            done &= _is_empty(part) or self._store_all(part)
        return done


def _is_empty(waiting: Waiting) -> bool:
    batch = waiting.batch
    return not (batch.events or batch.states or batch.availabilities or batch.traces)


def _is_of_the_message(error: Exception) -> bool:
    """Whether the fault lies in what was to be written; else it is the database's, and the same may succeed later."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError) and not error.connection_invalidated
    return isinstance(error, StatementError) or not isinstance(error, SQLAlchemyError)


def _cause(error: Exception) -> str:
    """Why, without the statement and its values: they are health data."""
    return f"{type(error).__name__}: {getattr(error, 'orig', None) or error}".splitlines()[0]
