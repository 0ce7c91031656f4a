"""The space behind: from single pings to CLEAR, CAUTION, STOP or UNKNOWN.

Theory of operation
-------------------
Tracks. A track is one thing: the pings of the last `speed_window_s` that belong together, and the line through them. A ping *follows* a
track when the thing may be there now: within gate_m + gate_m_s × (time since) of the last ping carried on at the track's speed. There
are two: `track`, which is believed, and `other`, a challenger that collects what does not belong to the first. `confirm_pings` pings
that follow each other and are nearer make the challenger the believed one (somebody steps in: two pings), and the old one the
challenger. A farther challenger waits until the believed track is lost, so that no ghost beyond an obstacle hides it. Nothing is averaged
away: no median. A track of n pings outlives n × coast_periods of silence, at most track_lost_s, carried on at its speed: of a real
thing one ping in ten is lost, but two ghosts that happened to agree are gone after two more pings.

A ping that follows its track but is off its line waits as a challenger: a ghost close by stays alone, but a second such ping (one
between them may be lost) at most twice as far off means that the speed has changed. Then the line begins anew, with the last speed_pings.

Nearer than touch_m. The part reports 4-6 cm with nothing there, once or twice in a row. A real thing in the beam that comes slower than
3 m/s shows itself twice between 0.5 m and 8 cm, so its track leads there and such pings follow it. Out of nowhere only something that
touches the belt can be that near (a coat over the sensor): it is believed once it has stayed for track_lost_s, while the answer becomes
UNKNOWN. Until then these pings count as none at all.

Speed. The trunk's speed swings by ±0.15 m/s with each step. The slope of a least-squares line over a window T answers to a sinusoid of
frequency f with 3 (sin x - x cos x) / x³, x = π f T: zero at f T = 1.43, so for 1.8 steps/s at 0.8 s, and below 0.13 for anything faster.
Unlike an average over a stride it has no lag while the speed is steady. Its σ is 1.4 cm/s with 12 pings of σ 1 cm. With fewer than
sure_pings a step is not averaged yet: then CAUTION waits, STOP does not. Until a new track's speed is known the last answer stands, but
for one case: what stands in the way of who walks backward comes nearer by just as much as they walk. Two pings that do (own_way_m) are
judged by the wearer's own speed, for STOP, nearer than unsure_m and not where the floor may be. Ghosts stand still before the belt or jump.

Rule. ttc = distance / closing speed, both of the line, carried on to the tick: caution and stop below the exercise's times, and stop inside
the near limit whatever the speed, once near_pings have shown it: two ghosts agree in there every few hours, three do not. Warnings
end at `release` times their limit, so that wobble does not make them flap; they go quiet `quiet_after_s` after closing has ended, and
sound again when it resumes.

Floor. The ranger looks backward (-x) from the height h. Leaning back turns the forward axis up and so the beam down:

         \\  trunk leans back by β            sin β = up·x (the vertical's part along the body's forward axis)
    (( ))=o  belt, beam ± half angle α
      \\   |                                  the beam's lower edge looks down by β + α and meets the floor
       \\  | h                                at   d = h / sin(α + β)
    ____\\_|_____

    sin(α + β) = up·x cos α + sqrt(1 - (up·x)²) sin α, for sideways lean too: the lowest ray of a cone is its axis lowered by α.

With h 0.95 m and α 15° that is 3.7 m upright and 2.2 m at 10°. An echo within floor_tolerance of it is the floor, unless it belongs to a
track (or, over a window, becomes one) that closes floor_closing_m_s faster than the predicted floor did. What lies beyond is UNKNOWN,
except at the range's edge (within floor_tolerance of it there is nothing beyond to know). Walls nearer than the floor are seen as ever.
"Straighten up" is said when the floor hides what the rule would need at floor_hint_m_s: 3 m for walking, a lean of 3.5°.
A pitch that is some degrees off makes the floor look like an obstacle. It stands still but for the trunk's sway and leaning, which the
pitch follows however far it is off; so within floor_doubt of the prediction only the closing that the pitch does not explain counts. Who
begins to walk backward leans back and speeds up at once, which no accelerometer can tell apart: there only walkers are warned. And
while the floor hides the way (or did within floor_hold_s), a track in there without a warning is the floor too: UNKNOWN.
The pitch is that of Pose.box_up: the ranger turns with the box, however the belt sits. Without a trusted pose no echo is called floor.

By exercise (WATCH). *Too fast*: a wall is first heard at the range and STOP waits for sure_pings, so who goes backward faster than
range / (stop_ttc_s + sure_pings / rate), 2.0 m/s, would be stopped too late. That is said, and while it is so nothing seen is UNKNOWN.
*Risers*: stairs going up behind are a plane through the nosings, of slope s = rise over run. The beam's lower edge, φ = β + α below
the level, meets it at d = h / (sin φ + s cos φ): 1.1 m. Risers stand there and beyond, come nearer as one climbs, and drop out of the
beam. So the time to collision is asked only of what is nearer than riser_share of that d on the steepest stairs, and the near limit only
of pings, not of a track carried on when its riser has dropped out. *Drift*: drift.py. *Room*: a lunge moves the wearer by step_back_m at
most, and standing between two they are farthest from what is behind; so the room is the farthest it was in room_memory_s, if that is
no more than a lunge from where it is now. Time to collision is asked of who walks backward, and of what has come nearer than a lunge
explains, unless it may be the floor seen by a belt that has sunk by room_sink_m. The near limit is asked of pings, as with risers.
"""

import math
from collections.abc import Callable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from guardian.config import Calibration, Config, Exercise, cos_deg, ns
from guardian.frame import Echo
from guardian.monitor.drift import Drift, DriftMemory
from guardian.monitor.estimate import Pose
from guardian.monitor.gait import Stride
from guardian.verdict import Direction, Gap, Obstacle

Ping = tuple[int, float, float]  # sent, ns; distance, m; the floor predicted for it, m (0: not known)
FAR_M = 100.0  # beyond any floor and any range
FLOOR_AFTER_ALL = 3  # floor echoes in a row where a track should be: it was the floor, from a pitch that was off
CLEAR, CAUTION, STOP, UNKNOWN = Obstacle.CLEAR, Obstacle.CAUTION, Obstacle.STOP, Obstacle.UNKNOWN


class Behind(Struct, frozen=True, gc=False):
    """The space behind in one tick."""

    obstacle: Obstacle
    gap: Gap
    near: bool  # inside the near limit
    straighten_up: bool  # the floor hides the way
    sounding: bool  # CAUTION or STOP that is to be heard; False once quiet after closing has ended
    warning: str = ""  # row of [sounds] that CAUTION or STOP has, where another deed than stopping is called for
    blind: str = ""  # row of [sounds] that says why the way is not watched


class Track(Struct):
    """Pings that agree, oldest first, and the line through them."""

    pings: list[Ping]
    until_ns: int  # a usable ping after this finds the track lost
    distance_m: float  # of the line, when the last ping was sent
    mean_m: float
    closing_m_s: float | None = None  # of the line; None with fewer than speed_pings
    excess_m_s: float | None = None  # how much faster than the predicted floor
    far_m: float = 0.0  # farthest ping since far_ns ...
    far_before_m: float = 0.0  # ... and in the room_memory_s before
    far_ns: int | None = None


class ObstacleMemory(Struct):
    """All that changes."""

    ping_ns: int | None = None  # last ping
    usable_ns: int | None = None  # last ping that said something
    usable: int = 0  # of those since the space was last unknown
    track: Track | None = None
    other: Track | None = None
    floor: Track | None = None
    touch_since_ns: int = 0  # run of pings nearer than touch_m
    touch_ns: int | None = None
    floor_hides: bool = False
    floor_ns: int = 0  # last ping at which it did
    hint_since_ns: int | None = None
    obstacle: Obstacle = UNKNOWN
    near: bool = False
    closing_ns: int = 0  # last closed, or came near
    kind: str = ""  # of the exercise
    fast_ns: int | None = None  # since when too fast
    too_fast: bool = False
    no_room: bool = False
    drift: DriftMemory = msgspec.field(default_factory=DriftMemory)


def _may_walk_backward(stride: Stride | None) -> bool:
    """Backward, or not known to be otherwise: a needless beep is a nuisance, a missing one a collision. Who stands does not walk."""
    if stride is None:
        return True
    return stride.direction is Direction.BACKWARD or (stride.walking and stride.direction in (Direction.UNKNOWN, Direction.TURNING))


def _walks_backward(stride: Stride | None) -> bool:
    """Surely."""
    return stride is not None and stride.direction is Direction.BACKWARD


def _always(stride: Stride | None) -> bool:
    return True


def _never(stride: Stride | None) -> bool:
    return False


class ObstacleRule:
    """Judges the space behind. Height of the ranger from the calibration, else from the configuration."""

    def __init__(self, config: Config, calibration: Calibration | None) -> None:
        c, ranger = config.obstacle, config.ranger
        self._c = c
        self._lost_ns = ns(c.track_lost_s)
        self._window_ns = ns(c.speed_window_s)
        self._quiet_ns = ns(c.quiet_after_s)
        self._hold_ns = ns(c.floor_hold_s)
        self._hint_ns = ns(c.floor_hint_s)
        self._coast_ns = ns(c.coast_periods / ranger.rate_hz)
        self._skip_ns = ns(2.5 / ranger.rate_hz)  # one ping between two may be lost
        self._cos = cos_deg(ranger.beam_half_angle_deg)
        self._sin = cos_deg(90.0 - ranger.beam_half_angle_deg)
        self._height_m = calibration.height_m if calibration else ranger.height_m
        self._hides_m = (1.0 - c.floor_tolerance) * ranger.range_m
        self._shows_m = (1.0 - c.floor_tolerance / 2.0) * ranger.range_m
        self._range_m = ranger.range_m
        self._sure_s = c.sure_pings / ranger.rate_hz
        self._outrun_ns = ns(c.outrun_s)
        self._room_ns = ns(c.room_memory_s)
        self._sunk = (1.0 - c.floor_tolerance) * max(0.0, 1.0 - c.room_sink_m / self._height_m)
        self._drift = Drift(config)
        self.memory = ObstacleMemory()

    def step(
        self,
        t_ns: int,
        echo: Echo | None,
        pose: Pose | None,
        stride: Stride | None,
        exercise: Exercise,
        sensor_ok: bool,
        speed_m_s: float = 0.0,
    ) -> Behind:
        """One tick. `pose` and `stride` are None when the IMU is not to be trusted, `sensor_ok` is the ranger's health.

        `speed_m_s`: of walking or running, whichever way, by the gait; 0 where it is not known.
        """
        m, watch = self.memory, WATCH[exercise.obstacle]
        if m.kind != exercise.obstacle:
            m.kind, m.drift, m.no_room, m.too_fast, m.fast_ns = exercise.obstacle, DriftMemory(), False, False, None
        if echo is not None and (m.ping_ns is None or echo.t_ns > m.ping_ns):
            m.ping_ns = echo.t_ns
            self._hear(m, echo, pose)
        if m.usable_ns is None or not sensor_ok or t_ns - m.usable_ns > self._lost_ns:
            return self._unknown(m, t_ns)
        behind = self._look(m, t_ns, t_ns - m.usable_ns, pose, stride, exercise, speed_m_s)
        if watch.then is not None:
            behind = watch.then(self, m, t_ns, behind, stride, exercise)
        if watch.outruns is not _never:
            behind = self._outrun(m, t_ns, behind, watch.outruns(stride), speed_m_s, exercise)
        return behind

    def _look(
        self,
        m: ObstacleMemory,
        t_ns: int,
        age_ns: int,
        pose: Pose | None,
        stride: Stride | None,
        exercise: Exercise,
        speed_m_s: float,
    ) -> Behind:
        """What the tracks say."""
        track = m.track
        if track is not None:
            behind = self._judge(m, t_ns, track, self._gap(track, t_ns, age_ns), pose, stride, exercise, speed_m_s)
            if behind.obstacle is not CLEAR or not (m.floor_hides and self._near_floor(track)):
                m.hint_since_ns = None
                return behind
        m.near = False
        m.obstacle = UNKNOWN if m.floor_hides or m.usable < self._c.confirm_pings else CLEAR
        return Behind(m.obstacle, Gap(age_ns=age_ns), False, self._hint(m, t_ns, stride, exercise), False)

    # hearing

    def _hear(self, m: ObstacleMemory, echo: Echo, pose: Pose | None) -> None:
        """One ping's outcome."""
        t, distance = echo.t_ns, echo.distance_m
        if m.usable_ns is not None and t - m.usable_ns > self._lost_ns:
            self._forget(m)
        if echo.reason == "nothing":
            self._expire(m, t)
        elif echo.reason == "echo" and distance is not None and 0.0 <= distance < FAR_M:  # not a number fails this too
            self._expire(m, t)
            if not self._place(m, (t, distance, self._floor_m(pose))):
                return
        else:
            return
        m.usable_ns = t
        m.usable += 1
        if m.floor is None or len(m.floor.pings) < self._c.confirm_pings:
            m.floor_hides = m.floor_hides and t - m.floor_ns <= self._hold_ns
        elif m.floor.mean_m < (self._shows_m if m.floor_hides else self._hides_m):
            m.floor_hides, m.floor_ns = True, t
        else:
            m.floor_hides = False

    def _expire(self, m: ObstacleMemory, t: int) -> None:
        """Lost tracks go; a challenger that is confirmed takes the place."""
        if m.track is not None and t > m.track.until_ns:
            m.track = None
        if m.other is not None and t > m.other.until_ns:
            m.other = None
        if m.floor is not None and t > m.floor.until_ns:
            m.floor = None
        if m.track is None and m.other is not None and len(m.other.pings) >= self._c.confirm_pings:
            m.track, m.other = m.other, None

    def _place(self, m: ObstacleMemory, ping: Ping) -> bool:
        """Give an echo to the track it belongs to. False: it is not to be believed."""
        t, distance, floor_m = ping
        track, other, tolerance = m.track, m.other, self._c.floor_tolerance * floor_m
        follows = track is not None and self._follows(track, t, distance)
        fits = track is not None and follows and self._on_line(track, t, distance)
        if distance < self._c.touch_m and not fits and not self._stays(m, t):
            return False
        if floor_m > 0.0 and -tolerance <= distance - floor_m <= tolerance and not (follows and self._not_floor(track)):
            self._add_floor(m, ping, follows)
        elif track is None or not fits:
            self._challenge(m, ping, follows)
        elif track.closing_m_s is None and other is not None and other.closing_m_s is not None and self._on_line(other, t, distance):
            self._seen(other, ping)  # two ghosts came before it: what was known shows itself again
        else:
            self._seen(track, ping)
        return True

    def _stays(self, m: ObstacleMemory, t: int) -> bool:
        """Whether pings nearer than touch_m have gone on for long."""
        if m.touch_ns is None or t - m.touch_ns > self._skip_ns:
            m.touch_since_ns = t
        m.touch_ns = t
        return t - m.touch_since_ns >= self._lost_ns

    def _add_floor(self, m: ObstacleMemory, ping: Ping, follows: bool) -> None:
        """An echo from where the floor should be."""
        m.floor = floor = self._seen(m.floor, ping)
        track, pings = m.track, floor.pings
        if self._not_floor(floor) and (track is None or floor.distance_m < track.distance_m):
            m.track, m.floor = floor, None
        elif track is not None and follows and len(pings) >= FLOOR_AFTER_ALL and pings[-FLOOR_AFTER_ALL][0] > track.pings[-1][0]:
            m.track = None

    def _challenge(self, m: ObstacleMemory, ping: Ping, follows: bool) -> None:
        """An echo that the believed track does not explain."""
        c, track = self._c, m.track
        t, distance, _ = ping
        m.other = other = self._seen(m.other if m.other is not None and self._follows(m.other, t, distance) else None, ping)
        if len(other.pings) < c.confirm_pings:
            if follows or (m.floor is not None and self._follows(m.floor, t, distance)):
                other.until_ns = t + self._skip_ns
        elif track is not None and follows and self._on_line(track, t, distance, 2.0):  # the same thing, at another speed
            late = [newer for newer in other.pings if newer[0] > track.pings[-1][0]]
            del track.pings[: max(0, len(track.pings) + len(late) - c.speed_pings)]
            for newer in late:
                self._seen(track, newer)
            m.other = None
        elif track is None or distance < track.pings[-1][1]:
            self._out_of_the_floor(m, other)
            m.track, m.other = other, track

    def _follows(self, track: Track, t: int, distance: float) -> bool:
        """Whether the thing on the track may be there now."""
        last_ns, last_m, _ = track.pings[-1]
        seconds = (t - last_ns) * 1e-9
        gate = self._c.gate_m + self._c.gate_m_s * seconds
        return -gate <= distance - last_m + (track.closing_m_s or 0.0) * seconds <= gate

    def _on_line(self, track: Track, t: int, distance: float, gates: float = 1.0) -> bool:
        """Whether it is there if it has kept its speed, or braked since the last ping; always, while the speed is not known."""
        if track.closing_m_s is None:
            return True
        seconds = (t - track.pings[-1][0]) * 1e-9
        gate = gates * (self._c.gate_m + 0.5 * self._c.brake_m_s2 * seconds * seconds)
        return -gate <= distance - track.distance_m + track.closing_m_s * seconds <= gate

    def _out_of_the_floor(self, m: ObstacleMemory, other: Track) -> None:
        """What has come nearer than the floor was there, unseen, in its last pings already: they tell its speed sooner.

        Not after a pause: what two ghosts and a floor of 0.4 s ago have between them is no speed.
        """
        first_ns, first_m, _ = other.pings[0]
        if m.floor is not None and 0 < first_ns - m.floor.pings[-1][0] <= self._skip_ns and self._follows(m.floor, first_ns, first_m):
            pings = other.pings
            other.pings = m.floor.pings[-2:]
            for ping in pings:
                self._seen(other, ping)

    def _not_floor(self, track: Track | None) -> bool:
        """Closes faster than the pitch explains, over enough pings to average a step."""
        if track is None or track.excess_m_s is None or len(track.pings) < self._c.sure_pings:
            return False
        return track.excess_m_s >= self._c.floor_closing_m_s

    def _seen(self, track: Track | None, ping: Ping) -> Track:
        """`track` (or a new one) with this ping, and its line drawn anew."""
        t, distance, _ = ping
        if track is None:
            return Track([ping], t + self._coast_ns, distance, distance)
        pings = track.pings
        pings.append(ping)
        while t - pings[0][0] > self._window_ns:
            del pings[0]
        n = len(pings)
        track.until_ns = t + min(n * self._coast_ns, self._lost_ns)
        if track.far_ns is None or t - track.far_ns >= self._room_ns:
            track.far_before_m, track.far_m, track.far_ns = track.far_m, distance, t
        elif distance > track.far_m:
            track.far_m = distance
        st = stt = sd = std = sf = stf = 0.0
        floor_known = True
        for at, d, f in pings:
            x = (at - t) * 1e-9
            st += x
            stt += x * x
            sd += d
            std += x * d
            sf += f
            stf += x * f
            if f == 0.0:
                floor_known = False
        spread = n * stt - st * st
        if spread <= 0.0 or n < self._c.speed_pings:
            track.distance_m, track.mean_m, track.closing_m_s, track.excess_m_s = distance, sd / n, None, None
            return track
        closing = (st * sd - n * std) / spread
        track.distance_m = (sd + closing * st) / n
        track.mean_m = sd / n
        track.closing_m_s = closing
        track.excess_m_s = closing - (st * sf - n * stf) / spread if floor_known else closing
        return track

    def _floor_m(self, pose: Pose | None) -> float:
        """Where the beam's lower edge meets the floor, m along the beam; 0 where it does not, or the pitch is not known."""
        if pose is None or not pose.trusted:
            return 0.0
        back = max(-1.0, min(1.0, pose.box_up[0]))  # sine of the lean back
        down = back * self._cos + math.sqrt(1.0 - back * back) * self._sin if back < self._cos else 1.0
        return self._height_m / down if down * FAR_M > self._height_m else 0.0

    # judging

    def _gap(self, track: Track, t_ns: int, age_ns: int) -> Gap:
        """The track carried on to this tick."""
        closing = track.closing_m_s or 0.0
        distance = max(0.0, track.distance_m - closing * ((t_ns - track.pings[-1][0]) * 1e-9))
        return Gap(distance, closing, distance / closing if closing >= self._c.closing_min_m_s else None, age_ns)

    def _judge(
        self,
        m: ObstacleMemory,
        t_ns: int,
        track: Track,
        gap: Gap,
        pose: Pose | None,
        stride: Stride | None,
        exercise: Exercise,
        speed_m_s: float,
    ) -> Behind:
        c, ttc, watch = self._c, gap.ttc_s, WATCH[exercise.obstacle]
        distance = (gap.distance_m or 0.0) if watch.carried_on else track.distance_m
        watch_ttc = watch.far(stride) or (watch.unlike is not None and watch.unlike(self, m, track, pose, exercise))
        watch_near = watch.near(stride)
        was = m.obstacle
        stopped = was is STOP
        warned = stopped or was is CAUTION
        near = watch_near and len(track.pings) >= c.near_pings and distance <= exercise.near_m + (c.near_release_m if m.near else 0.0)
        sure = len(track.pings) >= c.sure_pings
        if (near and not m.near) or (ttc is not None and (sure or not near)):
            m.closing_ns = t_ns
        m.near = near
        if ttc is not None:
            closing = self._surely_closing(track, stride, pose)
            ttc = distance / closing if closing >= c.closing_min_m_s else None
        unfinished = track.closing_m_s is None and (watch_ttc or (watch_near and distance <= exercise.near_m))
        m.obstacle = was if unfinished else CLEAR
        if near:
            m.obstacle = STOP
        elif watch_ttc and ttc is not None:
            if ttc < exercise.stop_ttc_s * (c.release if stopped else 1.0) and (warned or sure or track.distance_m < c.unsure_m):
                m.obstacle = STOP
            elif ttc < exercise.caution_ttc_s * (c.release if warned else 1.0) and (warned or sure):
                m.obstacle = CAUTION
        elif unfinished and watch_ttc and self._walked_into(track, stride, speed_m_s, exercise):
            m.obstacle, m.closing_ns = STOP, t_ns
        warns = m.obstacle is STOP or m.obstacle is CAUTION
        return Behind(m.obstacle, gap, near, False, warns and t_ns - m.closing_ns < self._quiet_ns)

    def _walked_into(self, track: Track, stride: Stride | None, speed_m_s: float, exercise: Exercise) -> bool:
        """Whether a track too young to have a speed comes nearer by the wearer's own way, and is less than stop_ttc_s of it away.

        The gait's speed is some 15 % off: as far out as a STOP would end. Inside the near limit near_pings decide, as ever.
        """
        (first_ns, first_m, _), (last_ns, last_m, _) = track.pings[0], track.pings[-1]
        most_m = min(self._c.unsure_m, self._c.release * exercise.stop_ttc_s * speed_m_s)
        if not _walks_backward(stride) or not exercise.near_m < last_m < most_m or self._near_floor(track):
            return False
        way_m, own_way_m = speed_m_s * (last_ns - first_ns) * 1e-9, self._c.own_way_m
        return way_m > own_way_m and way_m - own_way_m <= first_m - last_m <= way_m + own_way_m

    def _near_floor(self, track: Track) -> bool:
        """Whether it may be the floor, with a pitch that is a few degrees off."""
        _, distance, floor_m = track.pings[-1]
        return -self._c.floor_doubt * floor_m <= distance - floor_m <= self._c.floor_doubt * floor_m

    def _surely_closing(self, track: Track, stride: Stride | None, pose: Pose | None) -> float:
        """The track's closing speed, m/s. Near the predicted floor only as much of it as the pitch does not explain, and of who walks.

        Who sits down bows, leans back and sinks, and the floor with it: while the trunk moves, what a sunken belt may see of it is near.
        """
        closing = track.closing_m_s or 0.0
        sinks = pose is not None and not pose.settled and not self._above_floor(track)
        if track.excess_m_s is None or not (sinks or self._near_floor(track)):
            return closing
        return min(closing, track.excess_m_s) if stride is None or stride.walking else 0.0

    def _hint(self, m: ObstacleMemory, t_ns: int, stride: Stride | None, exercise: Exercise) -> bool:
        """Whether the floor has hidden for floor_hint_s what the rule would need."""
        floor, needed = m.floor, WATCH[exercise.obstacle].far(stride)
        if not (needed and m.floor_hides) or (floor is not None and floor.mean_m >= exercise.caution_ttc_s * self._c.floor_hint_m_s):
            m.hint_since_ns = None
            return False
        if m.hint_since_ns is None:
            m.hint_since_ns = t_ns
        return t_ns - m.hint_since_ns >= self._hint_ns

    def _unknown(self, m: ObstacleMemory, t_ns: int) -> Behind:
        """Nothing usable: what was known is stale, and forgotten."""
        age_ns = t_ns - m.usable_ns if m.usable_ns is not None else None
        self._forget(m)
        return Behind(UNKNOWN, Gap(age_ns=age_ns), False, False, False)

    def _forget(self, m: ObstacleMemory) -> None:
        m.track = m.other = m.floor = m.hint_since_ns = None
        m.floor_hides = m.near = False
        m.usable = 0
        m.obstacle = UNKNOWN

    # by exercise

    def _nearer_than_a_riser(self, m: ObstacleMemory, track: Track, pose: Pose | None, exercise: Exercise) -> bool:
        """Whether the track is nearer than the first riser of the steepest stairs can be; upright where the pitch is not known."""
        back = max(-1.0, min(1.0, pose.box_up[0])) if pose is not None and pose.trusted else 0.0
        level = math.sqrt(1.0 - back * back)
        below, ahead = back * self._cos + level * self._sin, level * self._cos - back * self._sin  # sine and cosine of φ
        slope = below + self._c.riser_slope * ahead
        if slope * FAR_M <= self._height_m:  # the beam looks over the stairs
            return False
        limit_m = self._c.riser_share * self._height_m / slope
        return self._all_nearer(track, limit_m + (0.0 if m.obstacle is CLEAR else self._c.near_release_m))

    def _more_than_a_lunge(self, m: ObstacleMemory, track: Track, pose: Pose | None, exercise: Exercise) -> bool:
        """Whether the track has come nearer than the wearer's own lunge explains, and is not the floor seen from a sunken belt."""
        limit_m = max(track.far_m, track.far_before_m) - (exercise.step_back_m or 0.0)
        return self._all_nearer(track, limit_m) and self._above_floor(track)

    def _all_nearer(self, track: Track, limit_m: float) -> bool:
        """Whether the last near_pings were: one ghost within the gate of a track that its riser has left is not enough."""
        last = track.pings[-self._c.near_pings :]
        return len(last) == self._c.near_pings and all(distance < limit_m for _, distance, _ in last)

    def _above_floor(self, track: Track) -> bool:
        _, distance, floor_m = track.pings[-1]
        return floor_m == 0.0 or distance < self._sunk * floor_m

    def _with_room(self, m: ObstacleMemory, t_ns: int, behind: Behind, stride: Stride | None, exercise: Exercise) -> Behind:
        """CAUTION where there is no room for a lunge. It sounds when it begins, and while and after the distance changes."""
        c, track = self._c, m.track
        if track is None or len(track.pings) < c.sure_pings:
            m.no_room = m.no_room and track is not None
        else:
            if stride is not None and stride.walking and stride.direction is not Direction.UNKNOWN:
                track.far_m = track.far_before_m = track.distance_m  # no lunge: where they stand then is the place
            room_m = min(max(track.far_m, track.far_before_m), track.distance_m + (exercise.step_back_m or 0.0))
            was, limit_m = m.no_room, (exercise.clear_m or 0.0) + (c.near_release_m if m.no_room else 0.0)
            m.no_room = room_m < limit_m and self._above_floor(track)
            if m.no_room and (not was or not -c.closing_min_m_s < behind.gap.closing_m_s < c.closing_min_m_s):
                m.closing_ns = t_ns
        if behind.obstacle is not CLEAR or not m.no_room:
            return behind
        return replace(behind, obstacle=CAUTION, sounding=t_ns - m.closing_ns < self._quiet_ns, warning="no_room")

    def _with_drift(self, m: ObstacleMemory, t_ns: int, behind: Behind, stride: Stride | None, exercise: Exercise) -> Behind:
        """The place on the belt, where nothing is within the near limit."""
        track = m.track
        if track is None:
            drifted = self._drift.step(m.drift, t_ns, 0, None, False, stride, exercise)
        else:
            sure = len(track.pings) >= self._c.sure_pings
            drifted = self._drift.step(m.drift, t_ns, track.pings[-1][0], track.distance_m, sure, stride, exercise)
        if behind.near:
            return behind
        stop, warns = drifted.obstacle is STOP, drifted.obstacle is STOP or drifted.obstacle is CAUTION
        warning = ("off_end_now" if stop else "off_end") if warns and drifted.off_end else ""
        blind = "no_reference" if drifted.missing else ""
        return replace(behind, obstacle=drifted.obstacle, sounding=drifted.sounding, warning=warning, blind=blind)

    def _outrun(self, m: ObstacleMemory, t_ns: int, behind: Behind, backward: bool, speed_m_s: float, exercise: Exercise) -> Behind:
        """Whether the wearer goes backward so fast that STOP would come too late for what is first heard at the range."""
        if behind.gap.ttc_s is not None and m.track is not None and len(m.track.pings) >= self._c.sure_pings:
            speed_m_s = behind.gap.closing_m_s  # measured, not guessed from steps
        limit_m_s = self._range_m / (exercise.stop_ttc_s + self._sure_s) / (self._c.release if m.too_fast else 1.0)
        if not backward or speed_m_s <= limit_m_s:
            m.too_fast, m.fast_ns = False, None
            return behind
        if m.fast_ns is None:
            m.fast_ns = t_ns
        m.too_fast = m.too_fast or t_ns - m.fast_ns >= self._outrun_ns
        if not m.too_fast or behind.obstacle is CAUTION or behind.obstacle is STOP:
            return behind
        return replace(behind, obstacle=UNKNOWN if m.track is None else behind.obstacle, blind="too_fast")


class Watch(Struct, frozen=True):
    """What one kind of `obstacle` watches."""

    far: Callable[[Stride | None], bool]  # time to collision, over the whole range
    near: Callable[[Stride | None], bool] = _always  # the near limit ...
    carried_on: bool = True  # ... of tracks between their pings too
    outruns: Callable[[Stride | None], bool] = _never  # whether the wearer may be going where the range is too short
    # time to collision, of a track unlike what is expected behind
    unlike: Callable[[ObstacleRule, ObstacleMemory, Track, Pose | None, Exercise], bool] | None = None
    # what else may be told
    then: Callable[[ObstacleRule, ObstacleMemory, int, Behind, Stride | None, Exercise], Behind] | None = None


# New kinds are new rows here and in config.Exercise.obstacle.
WATCH: dict[str, Watch] = {
    "ttc": Watch(_always, outruns=_may_walk_backward),
    "near": Watch(_never),
    "backward": Watch(_may_walk_backward, _may_walk_backward, outruns=_walks_backward),
    "risers": Watch(_never, carried_on=False, unlike=ObstacleRule._nearer_than_a_riser),
    "drift": Watch(_never, then=ObstacleRule._with_drift),
    "room": Watch(_walks_backward, carried_on=False, unlike=ObstacleRule._more_than_a_lunge, then=ObstacleRule._with_room),
}
