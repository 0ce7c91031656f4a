"""Calls people until somebody answers.

Theory of operation. A push job is one message to one contact. Jobs are made in the transaction that stores what they tell (jobs_for), so
that nothing is stored and not told. For an alarm the first contact's turn is now and each next one's an escalate_s later; when a message
is out, its repetition is added, due repeat_s later, in the transaction that marks it sent. All are made ahead and dropped when their time
comes if somebody has answered meanwhile: from the page, from Home Assistant, at another station, or with the button on the belt.

The sender is one thread that owns the database work. It leases for each contact the most pressing job and hands it to a thread of its own:
one dead service holds its own contact and nobody else. One message at a time to each contact also means that a station that is killed
repeats at most one: what it had sent and not yet marked. A job that is not marked sent is anybody's after lease_s.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from guardian.config import ConfigError
from guardian.station.alarms import CLOSING
from guardian.station.delivery import Deliver, deliver, learn_services
from guardian.station.jobs import Jobs
from guardian.station.loop import Loop
from guardian.station.message import Case, Message, compose
from guardian.station.settings import ContactPlan, Settings
from guardian.station.store import Store
from guardian.station.tables import Event, PushJob

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

# never pushed, whatever a contact asks for: shown at once, may still be cancelled, or too many to be read. not_worn is watch.py's
QUIET = frozenset(
    {"fall_suspected", "imminent_fall", "obstacle", "not_worn", "coach", "guarding", "exercise_changed", "fault_cleared", "cancelled"}
)
OVER = frozenset({*CLOSING, "acknowledged"})  # told to those whom the alarm was told
CLOSE_S = 3.0


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


# --- which jobs


def jobs_for(settings: Settings, device: str, event: Event, now: datetime) -> list[PushJob]:
    """The jobs that a new event makes: an alarm's contacts in their order, anything else to all who want its severity."""
    if event.severity == "critical":
        return chain(settings, device, event.id, "event", now)
    if event.event_type in OVER:
        return [one_job(device, event.id, "over", "info", plan.name, now) for plan in willing(settings, device, "critical")]
    if event.event_type in QUIET:
        return []
    if event.event_type == "battery_low":
        return notice(settings, device, event.id, "event", now)
    return [one_job(device, event.id, "event", event.severity, plan.name, now) for plan in willing(settings, device, event.severity)]


def chain(settings: Settings, device: str, event_id: str, kind: str, now: datetime) -> list[PushJob]:
    """Jobs for the contacts of an alarm: the first now, each next one when the one before had its time."""
    jobs, due = [], now
    for plan in willing(settings, device, "critical"):
        jobs.append(one_job(device, event_id, kind, "critical", plan.name, due))
        due += timedelta(seconds=plan.escalate_s)
    return jobs


def notice(settings: Settings, device: str, event_id: str, kind: str, now: datetime) -> list[PushJob]:
    """Jobs for what should be known but is no alarm: all who want warnings, or else the first whom an alarm calls."""
    plans = willing(settings, device, "warning") or willing(settings, device, "critical")[:1]
    return [one_job(device, event_id, kind, "warning", plan.name, now) for plan in plans]


def willing(settings: Settings, device: str, severity: str) -> list[ContactPlan]:
    """Those of a wearer's contacts who are told things of this severity, in order."""
    plans = [settings.contact(name) for name in settings.wearer(device).contacts]
    return [plan for plan in plans if severity in plan.severities]


def one_job(device: str, event_id: str, kind: str, severity: str, contact: str, due: datetime, step: int = 0) -> PushJob:
    """One message to one contact."""
    return PushJob(device=device, event_id=event_id, kind=kind, severity=severity, contact=contact, step=step, due_at=due)


# --- sending


class Sending(Struct):
    """A message on its way. Times are the monotonic clock's, s."""

    job: PushJob
    begun_s: float
    held_s: float  # the lease was last renewed
    why: str | None = None  # "" it is out; else why not; None: not known yet
    impatient: bool = False  # the next contact has been called


class Sender:
    """Sends what is due. Several stations may run one each on the same tables."""

    def __init__(self, settings: Settings, store: Store, clock: Clock = utc_now, deliver: Deliver = deliver) -> None:
        self._settings = settings
        self._push = settings.push
        self._store = store
        self._jobs = Jobs(store.engine)
        self._clock = clock
        self._deliver = deliver
        self._station = settings.station.name
        self._under_way: dict[str, Sending] = {}  # by contact
        self._said: SimpleQueue[tuple[str, int, str] | None] = SimpleQueue()  # (contact, job id, why not); None: look now
        self._ending = threading.Event()
        self._failures = 0
        self._loop = Loop("push", self._work, self._push.poll_s)

    def start(self) -> None:
        """Begin; says which wearers nobody would be called for."""
        for device in self._settings.wearers:
            if not willing(self._settings, device, "critical"):
                log.warning("nobody is called when %s falls: give wearers.%s.contacts or push.contacts in station.toml", device, device)
        self._loop.start()

    def wake(self) -> None:
        """There is something new to send: look now. From any thread."""
        self._said.put(None)

    def close(self) -> None:
        """Take no more; give what is under way a moment, so that it is marked and not told twice."""
        self._ending.set()
        self.wake()
        if self._loop.is_alive():
            self._loop.join(2 * CLOSE_S)

    def works(self) -> bool:
        """Whether it still looks for what is due; for the watchdog. A service that hangs, or a database that is down, is not meant."""
        return self._loop.works()

    def turn(self) -> int:
        """One round: mark what is out, take what is due; how many messages are under way. Raises SQLAlchemyError, losing nothing by it."""
        self._loop.turned()
        self._listen(0)
        for contact, sending in list(self._under_way.items()):
            if sending.why is None:
                self._attend(sending)
            if sending.why is not None:
                self._settle(sending)
                del self._under_way[contact]
        while not self._ending.is_set():
            self._loop.turned()
            jobs = self._jobs.lease(self._station, self._clock(), self._push.lease_s, self._under_way.keys())
            if not jobs:
                break
            for job in jobs:  # each is under way then, or dropped, or due later
                self._send(job)
        return len(self._under_way)

    def _work(self) -> None:
        learn_services()
        while not self._ending.is_set():
            self._careful_turn()
            self._listen(self._push.poll_s)
        end_s = time.monotonic() + CLOSE_S
        while self._under_way and time.monotonic() < end_s:
            self._listen(0.1)
            self._careful_turn()

    def _careful_turn(self) -> None:
        try:
            self.turn()
            self._failures = 0
        except SQLAlchemyError as error:
            self._failures += 1
            if self._failures & (self._failures - 1) == 0:  # 1, 2, 4 ...
                log.error("pushing has failed %d times at the database: %s", self._failures, type(error).__name__)
            self._ending.wait(self._push.poll_s)

    def _listen(self, limit_s: float) -> None:
        """Wait for a word at most this long, then take all there are."""
        try:
            word = self._said.get(timeout=limit_s) if limit_s else self._said.get_nowait()
            while True:
                if word is not None:
                    contact, job_id, why = word
                    sending = self._under_way.get(contact)
                    if sending is not None and sending.job.id == job_id:
                        sending.why = why
                word = self._said.get_nowait()
        except Empty:
            return

    # --- one job

    def _send(self, job: PushJob) -> None:
        """Drop it if nobody needs it any more, else hand it to a thread of its own."""
        try:
            plan, address = self._settings.contact(job.contact), self._settings.address(job.contact)
            case = self._case(job)
            if case is None:
                self._jobs.drop(job.id)
                return
            message = compose(case, plan.language, self._clock())
        except SQLAlchemyError:
            raise
        except KeyError:
            log.error("push %d is dropped: station.toml has no [contacts.%s] any more", job.id, job.contact)
            self._jobs.drop(job.id)
            return
        except Exception as error:  # one bad job must not end the sending of all others
            log.exception("push %d to %s cannot be made", job.id, job.contact)
            self._fail(job, str(error) if isinstance(error, ConfigError) else type(error).__name__)
            return
        now_s = time.monotonic()
        self._under_way[job.contact] = Sending(job, now_s, now_s)
        threading.Thread(target=self._carry, args=(job, address, message), name=f"push-{job.contact}", daemon=True).start()

    def _carry(self, job: PushJob, address: str, message: Message) -> None:
        """In a thread of its own: it may take as long as the service does."""
        try:
            why = self._deliver(address, message)
        except Exception as error:  # noqa: BLE001  (a plugin may raise anything, and its text may hold the address)
            why = f"{type(error).__name__} in the service's plugin"
        self._said.put((job.contact, job.id, why))

    def _attend(self, sending: Sending) -> None:
        """A message that takes long keeps its job, calls the next contact, and has failed in the end."""
        now_s, job = time.monotonic(), sending.job
        if now_s - sending.begun_s >= self._push.hung_s:
            sending.why = "the service hangs"
        elif now_s - sending.held_s >= self._push.patience_s:
            self._jobs.hold(job.id, self._station, self._clock() + timedelta(seconds=self._push.lease_s))
            sending.held_s = now_s
            if not sending.impatient:
                sending.impatient = True
                self._call_next(job)

    def _settle(self, sending: Sending) -> None:
        """Mark what is known about a message."""
        job = sending.job
        if sending.why:
            self._fail(job, sending.why)
            return
        now = self._clock()
        if self._jobs.sent(job.id, self._station, now, self._again(job, now)):
            log.info("pushed %s %s of %s to %s", job.severity, job.event_id, job.device, job.contact)

    def _again(self, job: PushJob, now: datetime) -> list[PushJob]:
        """The repetition of an alarm's message."""
        if job.severity != "critical":
            return []
        due = now + timedelta(seconds=self._settings.contact(job.contact).repeat_s)
        return [one_job(job.device, str(job.event_id), job.kind, job.severity, job.contact, due, job.step + 1)]

    def _fail(self, job: PushJob, why: str) -> None:
        """Again later, longer each time; the next contact of an alarm need not wait for that."""
        if job.tries >= self._push.tries_max:
            log.error("push %s of %s to %s is given up after %d tries: %s", job.event_id, job.device, job.contact, job.tries, why)
            self._jobs.drop(job.id)
            return
        later_s = min(self._push.retry_s * 2 ** min(job.tries - 1, 30), self._push.retry_last_s)
        log.warning("push %s of %s to %s failed (try %d): %s", job.event_id, job.device, job.contact, job.tries, why)
        self._jobs.failed(job.id, self._station, why, self._clock() + timedelta(seconds=later_s))
        if job.tries > 1:
            self._call_next(job)

    def _call_next(self, job: PushJob) -> None:
        if job.severity == "critical" and job.step == 0 and self._jobs.call_next(job, self._clock()):
            self.wake()

    # --- what is known about it

    def _case(self, job: PushJob) -> Case | None:
        """What to tell; None: nobody needs it any more."""
        enrolled, last = self._store.wearer(job.device)
        name = self._settings.wearer(job.device).name or enrolled or job.device
        case = Case(job, " ".join(name.split()), last=last, page=self._settings.page.address)
        if job.kind == "lost":
            return self._case_of_silence(job, case)
        return self._case_of_event(job, case) if job.kind in ("event", "over", "not_worn") else case

    def _case_of_event(self, job: PushJob, case: Case) -> Case | None:
        standing, last = self._jobs.standing(str(job.event_id)), case.last
        if standing is None:
            return None
        event, alarm_id, answer = standing.event, standing.alarm_id, standing.answer
        if job.kind == "over":
            return Case(job, case.name, event, alarm_id, None, last, case.page) if self._jobs.was_called(job.contact, event.id) else None
        if job.severity != "critical":
            return Case(job, case.name, event, None, None, last, case.page)
        newer = job.step > 0 and last is not None and last.critical_id not in (None, event.id)  # that one repeats, and is enough
        if newer or (answer is not None and not self._is_first(job)):
            return None
        return Case(job, case.name, event, alarm_id, answer, last, case.page)

    def _case_of_silence(self, job: PushJob, case: Case) -> Case | None:
        episode, last = self._jobs.episode(str(job.event_id)), case.last
        if episode is None or episode.ended_at is not None:
            return None
        alarm_id = last.alarm_id if last is not None else None
        seen_to = job.severity == "critical" and alarm_id is not None and self._store.ack(alarm_id) is not None
        if seen_to and not self._is_first(job):
            return None
        return Case(job, case.name, None, alarm_id, "acknowledged" if seen_to else None, last, case.page)

    def _is_first(self, job: PushJob) -> bool:
        """The very first message of an alarm is sent even if somebody has answered by now: nobody was told before."""
        called = willing(self._settings, job.device, "critical")
        return job.step == 0 and job.tries <= 1 and bool(called) and called[0].name == job.contact
