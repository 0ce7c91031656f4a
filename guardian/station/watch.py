"""Silence is never safety: who is no longer heard is missed, and somebody is told.

Theory of operation. Once a second, from the pictures that live.py keeps. Wi-Fi loss is normal while walking, so a silence counts after the
wearer's lost_after_s; at once if the last state was IMMINENT, DOWN or FALLEN, and when a device is switched off in an open alarm. A silence
is an episode in the database: there is at most one open for each device, whichever station sees it first, and its messages are stored with
it; so is its end, and the one message that it is over goes to those who were told of it. Silence counts only while this station listens
itself; when it cannot, that is told instead, once, and not for every wearer.

A device that lies still (not_worn) may have been put on a table, or be on a person who does not move: told once, after not_worn_s.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from guardian.station.jobs import Jobs
from guardian.station.live import Picture, Snapshot
from guardian.station.loop import Loop
from guardian.station.message import episode_id
from guardian.station.push import Clock, chain, notice, one_job, willing
from guardian.station.settings import Settings
from guardian.station.store import Store
from guardian.station.tables import Episode, PushJob
from guardian.verdict import Posture, State

log = logging.getLogger(__name__)

LOOK_S = 1.0
GRAVE = frozenset({State.IMMINENT, State.DOWN, State.FALLEN})
EVERYBODY = "*"  # the device of an episode that is about the station itself
WORN_AGAIN = ("not_worn", "session_started", "guarding", "sos")


class Watch:
    """Looks after everyone between start() and close(). `wake`: there is something to send."""

    def __init__(self, settings: Settings, store: Store, now: Callable[[], Snapshot], clock: Clock, wake: Callable[[], None]) -> None:
        self._settings, self._store, self._now, self._clock, self._wake = settings, store, now, clock, wake
        self._jobs = Jobs(store.engine)
        self._lying: dict[str, datetime | None] = {}  # off and lying since; None: that has been seen to
        self._failures = 0
        self._ending = threading.Event()
        self._loop = Loop("watch", self._work, LOOK_S)

    def start(self) -> None:
        """Begin."""
        self._loop.start()

    def close(self) -> None:
        """Stop."""
        self._ending.set()
        if self._loop.ident is not None:
            self._loop.join()

    def works(self) -> bool:
        """Whether it still looks; for the watchdog. A database that is down is not meant."""
        return self._loop.works()

    def look(self) -> None:
        """One look at everybody. Raises SQLAlchemyError: the next look makes good what this one could not."""
        self._loop.turned()
        snapshot, now = self._now(), self._clock()
        open_ = {(episode.kind, episode.device): episode for episode in self._jobs.open_episodes()}
        told = self._look_at_ourselves(snapshot, open_.get(("blind", EVERYBODY)), now)
        for one in snapshot.pictures:
            self._loop.turned()
            episode = open_.get(("lost", one.device))
            told |= self._miss(one, now) if episode is None else self._find(one, episode, now)
            told |= self._turn_over(one, now)
        for (kind, device), episode in open_.items():
            if kind == "lost" and snapshot.version and not snapshot.blind.database and device not in snapshot.by_device:
                self._jobs.end_episode(episode.id, now)  # retired, or erased
        if told:
            self._wake()

    def _work(self) -> None:
        while not self._ending.wait(LOOK_S):
            try:
                self.look()
                self._failures = 0
            except SQLAlchemyError as error:
                self._failures += 1
                if self._failures & (self._failures - 1) == 0:  # 1, 2, 4 ...
                    log.error("watching has failed %d times at the database: %s", self._failures, type(error).__name__)

    # --- silence

    def _miss(self, one: Picture, now: datetime) -> bool:
        """Tell that somebody is no longer heard, if that is so."""
        alarming = is_alarming(one)
        if not is_lost(one, self._settings, now):
            return False
        id_ = episode_id("lost", one.device, one.heard_at or now)
        jobs = (chain if alarming else notice)(self._settings, one.device, id_, "lost", now)
        if not self._jobs.begin_episode(id_, one.device, "lost", now, jobs):
            return False
        log.warning("%s: no contact, last word %s", one.device, one.heard_at)
        return bool(jobs)

    def _find(self, one: Picture, episode: Episode, now: datetime) -> bool:
        """Tell that somebody is heard again, if that is so, to those who were told of the silence."""
        if not (one.contact == "live" or (one.contact == "switched_off" and one.alarm is None)):
            return False
        told = self._told(episode, now)
        jobs = [one_job(one.device, episode.id, "back", "info", contact, now) for contact in told]
        return self._jobs.end_episode(episode.id, now, jobs) and bool(jobs)

    def _told(self, episode: Episode, now: datetime) -> Sequence[str]:
        """Who was told of an episode, or is just being told."""
        jobs = reversed(self._jobs.find(event_id=episode.id))
        return list(dict.fromkeys(job.contact for job in jobs if job.sent_at or (job.leased_until and job.leased_until > now)))

    # --- lying still

    def _turn_over(self, one: Picture, now: datetime) -> bool:
        """Tell that a device lies still which nobody has switched off, if that is so."""
        state = one.state
        if state is None or state.state is not State.OFF or state.posture is not Posture.DOWN or one.contact not in ("live", "stale"):
            self._lying.pop(one.device, None)
            return False
        since = self._lying.setdefault(one.device, now)
        if since is None or now - since < timedelta(seconds=self._settings.watch.not_worn_s):
            return False
        newest = self._store.events([one.device], event_types=WORN_AGAIN, limit=1)
        jobs: list[PushJob] = []
        if newest and newest[0].event_type == "not_worn":
            jobs = notice(self._settings, one.device, newest[0].id, "not_worn", now)
        added = self._jobs.add(jobs)
        self._lying[one.device] = None
        return added > 0

    # --- this station

    def _look_at_ourselves(self, snapshot: Snapshot, episode: Episode | None, now: datetime) -> bool:
        """Tell that nobody can be heard because the broker is gone; unless another station hears them."""
        since = snapshot.blind.broker_since
        heard = max((one.heard_at for one in snapshot.pictures if one.heard_at), default=None)
        others = heard is not None and now - heard < timedelta(seconds=self._settings.watch.stale_s)
        if episode is not None:
            if since is not None and not others:
                return False
            jobs = [one_job(EVERYBODY, episode.id, "seeing", "info", contact, now) for contact in self._told(episode, now)]
            return self._jobs.end_episode(episode.id, now, jobs) and bool(jobs)
        if since is None or others or not snapshot.pictures or now - since < timedelta(seconds=self._settings.watch.lost_after_s):
            return False
        id_ = episode_id("blind", EVERYBODY, since)
        contacts = {plan.name: None for one in snapshot.pictures for plan in willing(self._settings, one.device, "critical")}
        jobs = [one_job(EVERYBODY, id_, "blind", "warning", contact, now) for contact in contacts]
        return self._jobs.begin_episode(id_, EVERYBODY, "blind", now, jobs) and bool(jobs)


def is_alarming(one: Picture) -> bool:
    """Whether the last that was heard of somebody calls for help, or may soon."""
    return one.alarm is not None or (one.state is not None and one.state.state in GRAVE)


def is_lost(one: Picture, settings: Settings, now: datetime) -> bool:
    """Whether it is time to tell that somebody is not heard."""
    if one.contact == "switched_off":
        return one.alarm is not None
    since = one.silent_since or (one.heard_at if is_alarming(one) else None)
    silent_s = (now - since).total_seconds() if since else 0.0
    if is_alarming(one):  # offline is the broker's own word; without it, three heartbeats
        return one.contact == "lost" or (one.contact == "stale" and silent_s >= settings.watch.stale_s)
    return one.contact == "lost" and silent_s >= settings.wearer(one.device).lost_after_s
