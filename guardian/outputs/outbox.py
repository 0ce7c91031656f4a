"""The outbox: no event is lost between the verdict that raised it and the caregiver who reads it.

Theory of operation. Each event becomes a letter: its payload is fixed, it is written to disk by the writer, and only then may it be
published. The mirror in memory is what the loop works on; the disk is read once, at start. One job, `_sync`, writes all that has changed
since the last one in one transaction, so it may be submitted as often as anyone likes, and a failed one is simply done again.

A letter is due once it is stored (or once storing has failed, or hung for store_stall_s: an alarm outranks the order of things). Critical
letters come first, then by (boot, seq). What a broker's answer does:

    PUBACK < 0x80       an ordinary letter leaves; a critical one too while no receipts are known, else it goes again every repeat_s
    PUBACK 16           nobody is subscribed: everything already tried waits backoff_first_s .. backoff_last_s, then one letter asks again
    PUBACK >= 0x80      refused: again after backoff_first_s; after refusals_max tries set aside for aside_retry_s, or the next connection
    no answer           again after repeat_s, or on the next connection
    a receipt           the letter leaves: somebody has stored it

Under 3.1.1 a PUBACK says nothing (reason None) and counts as arrival. mids never reach the disk: they begin at 1 in each process.

Apply the journal before the outbox, both on one writer: an alarm on disk holds the event that tells of it, and a restart tells it again.
"""

import errno
import logging
import sqlite3
import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from guardian import contract
from guardian.config import OutboxConfig, ns
from guardian.contract import NOBODY, REFUSED
from guardian.frame import Fault, Frame
from guardian.outputs.store import EventStore, Kept, is_damage
from guardian.outputs.writer import Writer
from guardian.verdict import Event, Verdict

log = logging.getLogger(__name__)

UPKEEP_NS = 1_000_000_000
SWEEP_NS = 60_000_000_000
STORED_POLL_NS = 20_000_000  # how soon to look again for a letter that the writer is storing
MAX_PAYLOAD = 4096  # bytes; a longer one could be refused by closing the connection, again and again

Order = tuple[bool, int, int, str]  # not critical, boot, seq, id


class Letter(Struct, gc=False):
    """An event that has not yet arrived. Times are this boot's clock, ns."""

    kept: Kept
    put_ns: int
    stored: bool = False
    due_ns: int = 0
    tried: bool = False
    refusals: int = 0

    @property
    def order(self) -> Order:
        """Critical first, then as they happened."""
        return not self.kept.critical, self.kept.boot, self.kept.seq, self.kept.id


class Outbox:
    """An output that stores each verdict's events, and the rules by which mqtt.py sends them. Never raises.

    `wall`: UTC now, or None until the clock is set in this boot; an event stored without it keeps t = null. `path` None: in memory.
    """

    name = "outbox"

    def __init__(
        self, path: Path | None, config: OutboxConfig, writer: Writer, wall: Callable[[], datetime | None], install: str | None = None
    ) -> None:
        self.expired = 0  # letters dropped for age or number
        self.wall = wall
        self._config = config
        self._repeat_ns = ns(config.repeat_s)
        self._wait_s = config.store_wait_ms / 1000
        self._stall_ns = ns(config.store_stall_s)
        self._memory_ns = ns(config.receipt_memory_s)
        self._writer = writer
        self._store = EventStore(path, install)
        self._letters: dict[str, Letter] = {}
        self._order: list[Order] = []
        self._next_due_ns = 0  # nothing is due before this
        # shared with the writer's thread, under the lock
        self._lock = threading.Lock()
        self._add: dict[str, Letter] = {}
        self._drop: list[str] = []
        self._queued = False  # a _sync waits in the writer's queue
        self._writing = False  # ... or is under way
        self._trouble: Fault | None = None
        self._retry_ns = 0
        self._unstored: list[Letter] = []  # oldest first
        self._stalled = False
        # receipts
        self._receipt_ns: int | None = None
        self._receipt_utc: float | None = None  # of the last one in this run
        # answers
        self._nobody = False
        self._nobody_since_ns = 0
        self._hold_ns = 0  # letters older than the silence, or tried in it, wait until then
        self._backoff_ns = 0
        self._probe = ""
        self._aside: set[str] = set()
        # upkeep
        self._begun = False
        self._upkeep_ns = 0
        self._sweep_ns = 0
        self._dated = False
        self._damage_until_ns: int | None = None
        self._adopt(0)

    def identity(self) -> tuple[str, int]:
        """(install, boot): what event ids of this run begin with. On disk before it is given out."""
        return self._store.install, self._store.boot

    def __len__(self) -> int:
        """Letters that have not arrived."""
        return len(self._letters)

    def __contains__(self, id_: str) -> bool:
        """Whether this event has not arrived."""
        return id_ in self._letters

    # --- as an output

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Store the verdict's events; wait for a critical one at most store_wait_ms, so that it is on disk before it sounds."""
        now_ns = verdict.t_ns
        if now_ns >= self._upkeep_ns:
            self._upkeep(now_ns)
        if verdict.events:
            self.put(verdict.events, now_ns)
        if self._unstored or self._stalled:
            self._watch_storing(now_ns)

    def put(self, events: Iterable[Event], now_ns: int) -> bool:
        """Store events. True: they are on disk now; False: not yet (ordinary ones are not waited for).

        One that is here already, since a restart tells an open alarm's again, stays as it was stored.
        """
        utc = self.wall()
        letters = [self._letters.get(event.id) or self._letter(event, now_ns, utc) for event in events]
        new = [letter for letter in letters if letter.kept.id not in self._letters]
        for letter in new:
            self._take(letter)
        with self._lock:
            self._add.update((letter.kept.id, letter) for letter in new)
        self._unstored += new
        self._next_due_ns = 0
        self._limit()
        self._push(self._wait_s if any(letter.kept.critical for letter in new) else 0.0)
        return all(letter.stored for letter in letters)

    def faults(self) -> tuple[Fault, ...]:
        """Storing in trouble or stalled, nobody listening, an event refused."""
        if not (self._trouble or self._nobody or self._aside or self._stalled or self._damage_until_ns):
            return ()
        told = [self._trouble] if self._trouble else []
        if self._stalled and not told:
            told.append(Fault("output_failed", "outbox: the card does not take events; it may be worn out"))
        if self._damage_until_ns:
            told.append(Fault("output_failed", self._store.damage))
        if self._nobody:
            told.append(Fault("nobody_listening"))
        if self._aside:
            told.append(Fault("event_refused", f"{len(self._aside)} refused by the broker: check the ACL for this device's event topic"))
        return tuple(told)

    def close(self) -> None:
        """Write what is left. Close mqtt first: it still sends from here."""
        self._push(self._config.store_stall_s)
        self._writer.submit(self._store.close, self._config.store_stall_s)

    # --- for the sender

    def due(self, now_ns: int) -> Letter | None:
        """The letter to publish now, if any."""
        if now_ns < self._next_due_ns:
            return None
        next_ns = now_ns + UPKEEP_NS
        held = self._nobody and now_ns < self._hold_ns
        for order in self._order:
            letter = self._letters[order[3]]
            at_ns = letter.due_ns
            if held and self._waits(letter):
                at_ns = max(at_ns, self._hold_ns)
            if not (letter.stored or self._trouble or now_ns - letter.put_ns >= self._stall_ns):
                at_ns = max(at_ns, now_ns + STORED_POLL_NS)
            if at_ns <= now_ns:
                return letter
            next_ns = min(next_ns, at_ns)
        self._next_due_ns = next_ns
        return None

    def sent(self, id_: str, now_ns: int) -> None:
        """It has been handed to the link."""
        letter = self._letters[id_]
        if self._nobody and self._waits(letter):
            self._probe, self._hold_ns = id_, now_ns + self._backoff_ns  # one letter asks, the rest wait for its answer
        letter.tried = True
        letter.due_ns = now_ns + self._repeat_ns

    def answered(self, id_: str, reason: int | None, now_ns: int) -> None:
        """The broker's PUBACK for it; `reason` None under 3.1.1."""
        letter = self._letters.get(id_)
        self._next_due_ns = 0
        if reason == NOBODY:
            self._nobody_listens(id_, now_ns)
            if letter is not None:
                letter.due_ns = now_ns
        elif reason is None or reason < REFUSED:
            self._nobody = False
            if letter is not None and letter.kept.critical and self.receipts_known(now_ns):
                letter.refusals = 0
                self._aside.discard(id_)
            elif letter is not None:
                self._remove(letter)
        elif letter is not None:
            letter.refusals += 1
            aside = letter.refusals >= self._config.refusals_max
            letter.due_ns = now_ns + ns(self._config.aside_retry_s if aside else self._config.backoff_first_s)
            if aside and id_ not in self._aside:
                self._aside.add(id_)
                log.error("event %s set aside: refused %d times, reason 0x%02x", id_, letter.refusals, reason)

    def received(self, id_: str, now_ns: int) -> bool:
        """A receiver says that it has stored this event. False: it is none of this device's."""
        if not id_.startswith(f"{self._store.install}-") and id_ not in self._letters:
            return False
        self._receipt_ns = now_ns
        utc = self.wall()
        self._receipt_utc = utc.timestamp() if utc else 0.0
        self._nobody = False
        self._next_due_ns = 0
        if id_ in self._letters:
            self._remove(self._letters[id_])
        return True

    def connected(self, now_ns: int) -> None:
        """A new connection: what had no answer, or was held, or set aside, is tried again."""
        self._nobody = False
        self._next_due_ns = 0
        for letter in self._letters.values():
            letter.due_ns = now_ns

    def settle(self) -> None:
        """Before the end: wait for what is being stored, so that it may still be sent."""
        self._push(self._config.store_stall_s)
        self._next_due_ns = 0

    def receipts_known(self, now_ns: int) -> bool:
        """Whether receivers here send receipts: one of any event came within receipt_memory_s."""
        return self._receipt_ns is not None and now_ns - self._receipt_ns < self._memory_ns

    # --- letters

    def _letter(self, event: Event, now_ns: int, utc: datetime | None) -> Letter:
        """An event told again after a restart is of the boot in its id, and so is its uptime; what time of day that was is not known."""
        severity = contract.EVENTS.get(event.event_type, "warning")
        boot = int(event.id.rsplit("-", 2)[1])
        utc = utc if boot == self._store.boot else None
        fields = {
            "v": contract.VERSION,
            "id": event.id,
            "boot": boot,
            "seq": event.seq,
            "event_type": event.event_type,
            "severity": severity,
            "t": utc.isoformat(timespec="milliseconds").replace("+00:00", "Z") if utc else None,
            "uptime_s": round(event.t_ns / 1e9, 3),
            "exercise": event.exercise,
            "evidence": event.evidence,
        }
        payload = msgspec.json.encode(fields)
        if len(payload) > MAX_PAYLOAD:
            payload = msgspec.json.encode({**fields, "evidence": {"left_out_bytes": len(payload)}})
        since = utc.timestamp() if utc else None
        return Letter(Kept(event.id, boot, event.seq, severity == "critical", since, payload), now_ns)

    def _take(self, letter: Letter) -> None:
        insort(self._order, letter.order)
        self._letters[letter.kept.id] = letter

    def _remove(self, letter: Letter) -> None:
        del self._letters[letter.kept.id]
        del self._order[bisect_left(self._order, letter.order)]
        self._aside.discard(letter.kept.id)
        with self._lock:
            if self._add.pop(letter.kept.id, None) is not None:
                return  # never written
            self._drop.append(letter.kept.id)
            push = not self._queued
        if push:
            self._push()

    def _waits(self, letter: Letter) -> bool:
        """Whether it must wait while nobody listens; an event raised since then is tried once, at once."""
        return letter.tried or letter.put_ns <= self._nobody_since_ns

    def _nobody_listens(self, id_: str, now_ns: int) -> None:
        if not self._nobody:
            self._nobody, self._nobody_since_ns, self._backoff_ns = True, now_ns, ns(self._config.backoff_first_s)
        elif id_ == self._probe:
            self._backoff_ns = min(2 * self._backoff_ns, ns(self._config.backoff_last_s))
        else:
            return  # sent before the silence was known, or new: it changes nothing
        self._probe, self._hold_ns = "", now_ns + self._backoff_ns

    def _limit(self) -> None:
        """At most rows_max letters: the oldest ordinary one goes first; a critical one only when there are no others."""
        while len(self._order) > self._config.rows_max:
            first = bisect_left(self._order, (True, -1, -1, ""))
            self._expire(self._letters[self._order[first if first < len(self._order) else 0][3]], "too many")

    def _expire(self, letter: Letter, why: str) -> None:
        self.expired += 1
        if self.expired & (self.expired - 1) == 0:  # 1, 2, 4, 8 ...
            log.error("%d events dropped before they arrived; now %s: %s", self.expired, letter.kept.id, why)
        self._remove(letter)

    def _adopt(self, now_ns: int) -> None:
        """Take what earlier runs left on disk."""
        for kept in self._store.take_found():
            if kept.id not in self._letters:
                self._take(Letter(kept, now_ns, stored=True))
                self._next_due_ns = 0

    # --- upkeep

    def _upkeep(self, now_ns: int) -> None:
        """Once a second: what the disk still held, what could not be written, what is too old, what was said long enough."""
        first, self._begun = not self._begun, True
        self._upkeep_ns = now_ns + UPKEEP_NS
        self._adopt(now_ns)
        if first:
            for letter in self._letters.values():
                letter.put_ns = letter.put_ns or now_ns
        if first and self._store.receipt_utc is not None:
            self._receipt_ns = now_ns  # its age is put right as soon as the clock is known
        if self._store.damage and self._damage_until_ns is None:
            self._damage_until_ns = now_ns + ns(self._config.damage_said_s)
        elif self._damage_until_ns and now_ns >= self._damage_until_ns:
            self._damage_until_ns = 0
        if (self._add or self._drop or self._trouble) and not self._queued and now_ns >= self._retry_ns:
            self._retry_ns = now_ns + ns(self._config.store_retry_s)
            self._push()
        if now_ns >= self._sweep_ns:
            self._sweep_ns = now_ns + SWEEP_NS
            self._sweep(now_ns)

    def _sweep(self, now_ns: int) -> None:
        utc = self.wall()
        if utc and not self._dated:
            self._dated = True
            self._date(now_ns, utc.timestamp())
        limit_ns = ns(self._config.expire_s)
        for letter in [letter for letter in self._letters.values() if not letter.kept.critical and now_ns - letter.put_ns >= limit_ns]:
            self._expire(letter, "too old")
        self._limit()

    def _date(self, now_ns: int, utc: float) -> None:
        """The clock is known: what earlier runs stored gets its true age. Without a stamp it counts from this boot."""
        for letter in self._letters.values():
            if letter.kept.since:
                letter.put_ns = min(letter.put_ns, now_ns - ns(max(0.0, utc - letter.kept.since)))
        if self._store.receipt_utc and self._receipt_utc is None:
            self._receipt_ns = now_ns - ns(max(0.0, utc - self._store.receipt_utc))

    # --- the disk

    def _watch_storing(self, now_ns: int) -> None:
        self._unstored = [letter for letter in self._unstored if not letter.stored and letter.kept.id in self._letters]
        late = bool(self._unstored) and now_ns - self._unstored[0].put_ns > ns(self._wait_s)
        # what was sent unstored and has arrived is no longer missed here, but the card still hangs
        self._stalled = late or (self._stalled and (self._queued or self._writing))

    def _push(self, wait_s: float = 0.0) -> bool:
        with self._lock:
            self._queued = True
        before = self._writer.dropped
        done = self._writer.submit(self._sync, wait_s)
        if self._writer.dropped != before:
            self._queued = False  # refused: upkeep tries again
        return done

    def _sync(self) -> None:
        """Write what has changed; in the writer's thread."""
        with self._lock:
            add, drop, receipt = self._add, self._drop, self._receipt_utc
            self._add, self._drop, self._queued, self._writing = {}, [], False, True
        try:
            self._write(add, drop, receipt)
        finally:
            self._writing = False

    def _write(self, add: dict[str, Letter], drop: list[str], receipt: float | None) -> None:
        if not (add or drop or self._trouble):  # in trouble an empty write asks whether it is over: what failed may have arrived unwritten
            return
        try:
            self._store.write([letter.kept for letter in add.values()], drop, receipt)
        except (sqlite3.Error, OSError) as error:
            damaged = isinstance(error, sqlite3.Error) and is_damage(error)
            if damaged:  # a new file gets all that the mirror still knows
                add = dict(self._letters)
            with self._lock:
                self._add, self._drop = {**add, **self._add}, drop + self._drop
            self._trouble = _trouble(error)
            if damaged:
                self._store.begin_anew(str(error))
            raise
        self._trouble = None
        for letter in add.values():
            letter.stored = True


def _trouble(error: Exception) -> Fault:
    full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    if full or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        return Fault("disk_full", "outbox: events are kept in memory until there is space")
    return Fault("output_failed", f"outbox: {error}")
