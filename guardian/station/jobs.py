"""The push jobs and the episodes in the tables: one message to one contact each, due, leased by one station, and marked when it is out.

Several stations work on the same tables. Methods may be called from any thread; times are UTC; errors as in transactions.py.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from guardian.station import alarms
from guardian.station.alarms import Standing
from guardian.station.tables import Episode, Event, PushJob
from guardian.station.transactions import added, count, insert, reads, writes

GIVEN = ("device", "event_id", "kind", "severity", "contact", "due_at")


def add_jobs(session: Session, jobs: Iterable[PushJob]) -> int:
    """Add jobs to a transaction; those whose (event_id, kind, contact, step) is there already are left as they are. How many were new."""
    rows = [{key: getattr(job, key) for key in GIVEN} | {"step": job.step or 0, "tries": 0} for job in jobs]
    return sum(added(session, insert(session, PushJob).values(row), PushJob.id) for row in rows)


class Jobs:
    """What is to be told to whom."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, jobs: Iterable[PushJob]) -> int:
        """As add_jobs, in a transaction of its own."""
        with writes(self._engine) as session:
            return add_jobs(session, jobs)

    def find(self, event_id: str | None = None, limit: int = 200) -> list[PushJob]:
        """Jobs, sent or not, newest first; of one event (or episode), or of all."""
        ask = select(PushJob).order_by(PushJob.id.desc()).limit(limit)
        with reads(self._engine) as session:
            return list(session.scalars(ask if event_id is None else ask.where(PushJob.event_id == event_id)))

    def lease(self, station: str, now: datetime, lease_s: float, busy: Collection[str] = (), limit: int = 20) -> list[PushJob]:
        """Jobs that are due and nobody's, now this station's for lease_s: of each contact that is not busy the most pressing one, critical
        before others, then the oldest. `tries` counts this one."""
        free = and_(PushJob.sent_at.is_(None), PushJob.due_at <= now, or_(PushJob.leased_until.is_(None), PushJob.leased_until <= now))
        pressing = (PushJob.severity != "critical", PushJob.due_at, PushJob.id)
        turn = func.row_number().over(partition_by=PushJob.contact, order_by=pressing).label("turn")
        queue = select(PushJob.id, turn).where(free, PushJob.contact.not_in(busy)).subquery()
        first = select(queue.c.id).where(queue.c.turn == 1)
        ask = select(PushJob).where(PushJob.id.in_(first), free).order_by(*pressing).limit(limit).with_for_update(skip_locked=True)
        with writes(self._engine, brief=True) as session:
            jobs = list(session.scalars(ask))
            for job in jobs:
                job.leased_by, job.leased_until, job.tries = station, now + timedelta(seconds=lease_s), job.tries + 1
        return jobs

    def hold(self, job_id: int, station: str, until: datetime) -> bool:
        """Keep a job that is still being sent; False: another station has it by now."""
        with writes(self._engine, brief=True) as session:
            return count(session.execute(_mine(job_id, station).values(leased_until=until))) == 1

    def sent(self, job_id: int, station: str, now: datetime, then: Iterable[PushJob] = ()) -> bool:
        """Mark a job sent and add what follows it, together. False: another station has it by now (it will be told twice, once each)."""
        with writes(self._engine, brief=True) as session:
            done = count(session.execute(_mine(job_id, station).values(sent_at=now, leased_until=None, error=None))) == 1
            if done:
                add_jobs(session, then)
        return done

    def failed(self, job_id: int, station: str, error: str, retry_at: datetime) -> None:
        """Give a job back: due again at retry_at, for any station. `error` must hold no secret."""
        with writes(self._engine) as session:
            session.execute(_mine(job_id, station).values(due_at=retry_at, leased_until=None, leased_by=None, error=error[:200]))

    def drop(self, job_id: int) -> None:
        """Delete a job that nobody needs any more, unless it was sent."""
        with writes(self._engine) as session:
            session.execute(delete(PushJob).where(PushJob.sent_at.is_(None), PushJob.id == job_id))

    def call_next(self, job: PushJob, now: datetime) -> bool:
        """The contact of this job does not answer: the next one's turn is now. Whether there is a next one that waits."""
        waits = select(PushJob.id).where(
            PushJob.event_id == job.event_id, PushJob.kind == job.kind, PushJob.step == 0, PushJob.tries == 0, PushJob.due_at > now
        )
        first = waits.order_by(PushJob.due_at).limit(1).scalar_subquery()
        with writes(self._engine) as session:
            return count(session.execute(update(PushJob).where(PushJob.id == first).values(due_at=now))) == 1

    # --- whether it is still needed

    def standing(self, event_id: str) -> Standing | None:
        """An event, the alarm that it belongs to, and whether somebody has seen to it."""
        with reads(self._engine) as session:
            event = session.get(Event, event_id)
            return alarms.standing(session, event) if event else None

    def was_called(self, contact: str, event_id: str) -> bool:
        """Whether this contact was sent something critical about the alarm that this event belongs to."""
        with reads(self._engine) as session:
            event = session.get(Event, event_id)
            if event is None:
                return False
            sent = select(PushJob.id).where(
                PushJob.contact == contact,
                PushJob.severity == "critical",
                PushJob.sent_at.is_not(None),
                PushJob.event_id.in_(alarms.before(session, event)),
            )
            return session.scalar(sent.limit(1)) is not None

    # --- episodes: a silence, or a station that is deaf

    def begin_episode(self, episode_id: str, device: str, kind: str, now: datetime, jobs: Iterable[PushJob] = ()) -> bool:
        """Open an episode with its jobs, together. False: one of this kind is open already (another station's, or from before a restart),
        or this very one was; nothing is added."""
        with writes(self._engine) as session:
            episode = insert(session, Episode).values(id=episode_id, device=device, kind=kind, begun_at=now)
            if not added(session, episode, Episode.id):
                return False
            add_jobs(session, jobs)
        return True

    def end_episode(self, episode_id: str, now: datetime, jobs: Iterable[PushJob] = ()) -> bool:
        """Close an open episode with its jobs, together. False: it was closed already; nothing is added."""
        with writes(self._engine) as session:
            change = update(Episode).where(Episode.id == episode_id, Episode.ended_at.is_(None)).values(ended_at=now)
            if count(session.execute(change)) == 0:
                return False
            add_jobs(session, jobs)
        return True

    def episode(self, episode_id: str) -> Episode | None:
        """One episode."""
        with reads(self._engine) as session:
            return session.get(Episode, episode_id)

    def open_episodes(self) -> list[Episode]:
        """Episodes that have not ended, oldest first."""
        with reads(self._engine) as session:
            return list(session.scalars(select(Episode).where(Episode.ended_at.is_(None)).order_by(Episode.begun_at)))


def _mine(job_id: int, station: str) -> Any:
    """A change of a job that this station still has."""
    return update(PushJob).where(PushJob.id == job_id, PushJob.sent_at.is_(None), PushJob.leased_by == station)
