"""How a trainee falls, and nearly falls: a leg that tips over its foot, gives way, and a pelvis that meets the floor.

Theory of operation. Until contact the belt rides on a leg of length L that tips by θ over the foot, in the vertical plane of the fall:

    θ'' = (1 - h) g sin θ / (k L) - 2 L' θ' / L        h: what a struggle (hip, arms, quick steps) takes off gravity's torque
    L'' = c (L θ'² - g cos θ)                          c: how far the knees have given way; at 1 the belt falls freely

g is less by what hands, knees and rails take once the body is well tipped; k = 1.2 stands for a body that is no point mass. A heel that
catches leaves the body its speed over the foot (θ'(0) = v / L); a slip takes the foot away (θ'(0) from the foot's own speed, and less of
the tipping moves the belt); a missed step drops the foot before it tips. The pelvis turns by a share of θ, after a short bow to the other
side (the hip strategy). At contact the downward speed is stopped by a sin² pulse of the peak asked for, rotation and slide run out, the
trunk's own contact follows, and tissue and belt ring. All of it is one path; what the sensor feels is taken from it by walker.py.

Measures: imbalance to impact 1271 ± 648 ms, descent 583 ± 255 ms, pelvis at 2.14 ± 0.63 m/s (Choi 2015, 25 filmed falls of old people);
trunk extension 139.7 deg/s in backward slips (Liu & Lockhart 2014); and SisFall's F01-F15 (5-95 %: peak 2.2-18 g, least force before
contact 0.07-0.7 g, rate before it 90-390 deg/s): lab/walkers.py sets the simulated ones beside them.
"""

from functools import cache, lru_cache
from math import cos, exp, pi, radians, sin, sqrt, tau
from typing import Literal, NamedTuple

import numpy as np

from guardian.sim.gait import G
from guardian.sim.person import Person
from guardian.sim.phases import Array, Course, Drop, Phase, Stance, carried_up, eased, settling, through

DT_S = 0.002  # the path's own grid
INERTIA = 1.2
LONGEST_S = 6.0

Rest = Literal["back", "front", "left", "right"]
REST_DEG: dict[Rest, tuple[float, float]] = {"back": (-84.0, 6.0), "front": (80.0, -5.0), "left": (-10.0, -80.0), "right": (-10.0, 80.0)}


class Fell(NamedTuple):
    """A fall as it goes, on the grid from its onset; and when the body first meets the floor, s after it."""

    ahead: Array  # speed, m/s
    aside: Array
    height: Array
    pitch: Array
    roll: Array
    yaw: Array
    contact_s: float


def thud(s: Array, peak_g: float, hz: float = 11.0, decay_s: float = 0.05) -> Array:
    """A blow that rings: displacement from time 0 on, m, whose greatest acceleration is `peak_g`."""
    return np.asarray(peak_g * G / _ring_peak(hz, decay_s) * _ring(s, hz, decay_s))


def _ring(s: Array, hz: float, decay_s: float) -> Array:
    t = np.clip(s, 0.0, None)
    return np.asarray(np.sin(tau * hz * t) * np.exp(-t / decay_s) * (1 - np.exp(-t / 0.008)) ** 3)


@cache
def _ring_peak(hz: float, decay_s: float) -> float:
    ring = _ring(_grid(300) - 2 * DT_S, hz, decay_s)
    return float(np.abs(np.diff(ring, 2)).max() / DT_S**2)


def _grid(count: int) -> Array:
    return np.arange(count, dtype=np.float64) * DT_S


class Fall(Phase, frozen=True):
    """Falls, and lies as it fell, breathing."""

    seconds: float = 9.0
    cause: str = "heel catch"
    toward_deg: float = 0.0  # 0 backward, 90 left, 180 forward, 270 right
    push_m_s: float = 0.5  # of the body over the foot when balance is lost
    slide: float = 0.0  # share of the tipping that the foot does, sliding away, and not the belt
    drop_m: float = 0.0  # the foot finds no ground for so far
    struggle_s: float = 0.0
    hold: float = 0.6  # of gravity's torque, while struggling
    buckle: float = 0.75
    buckle_deg: float = 25.0  # lean at which the knees give way
    brake: float = 0.25  # share of the weight that hands, knees and rails take on the way down
    trunk: float = 0.6  # turn of the pelvis against the leg's
    bow_deg: float = 5.0
    twist_deg: float = 10.0
    land_m: float = 0.15  # belt over what it lands on
    below_m: float = 0.0  # how much lower that is than the floor under the feet: on stairs
    impact_g: float = 5.0
    after_s: float = 0.18  # the trunk's contact after the pelvis's
    rest: Rest = "back"
    seed: int = 0

    @property
    def direction(self) -> str:
        """backward, left, forward or right."""
        return ("backward", "left", "forward", "right")[round(self.toward_deg / 90) % 4]

    def fell(self, start: Stance, who: Person) -> Fell:
        """How it goes from that stance."""
        return _fell(self, start.height - start.floor, start.floor, start.speed, start.pitch, start.roll, start.yaw)

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase."""
        fell = self.fell(start, who)
        at = np.minimum(np.rint(s / DT_S).astype(np.int64), len(fell.ahead) - 1)
        return Course(
            speed=fell.ahead[at],
            gait=eased(s, 0.2 + 0.5 * self.struggle_s, start.gait, 0.0),
            yaw=fell.yaw[at],
            pitch=fell.pitch[at],
            roll=fell.roll[at],
            height=fell.height[at] + carried_up(s, start),
            sway=eased(s, 0.4, start.sway, 0.0),
            breath=eased(s - fell.contact_s - 0.5, 1.0, start.breath, 1.0),
            aside=fell.aside[at],
        )


def _tipped(fall: Fall, leg_m: float, speed: float) -> tuple[Array, Array, Array]:
    """Lean θ (rad), belt height over the feet's floor (m), belt speed over the foot (m/s) until it lands."""
    direction = radians(fall.toward_deg)
    carried = max(0.0, -speed * cos(direction))  # what of the gait goes the fall's way
    lean, rate, length, shrink = radians(2.5), (fall.push_m_s + (1 - fall.slide) * carried) / leg_m, leg_m / cos(radians(2.5)), 0.0
    count = int(LONGEST_S / DT_S)
    base = Drop.to(fall.drop_m, 1.3 * sqrt(2 * fall.drop_m / (0.75 * G)), 1.9).height(_grid(count)) if fall.drop_m else None
    gave_way: float | None = None
    leans, heights, speeds = [], [], []
    for i in range(count):
        t = i * DT_S
        height = length * cos(lean) + (0.0 if base is None else float(base[i]))
        leans.append(lean)
        heights.append(height)
        speeds.append(shrink * sin(lean) + length * rate * cos(lean))
        down = (heights[-2] - height) / DT_S if i else 0.0
        if down > 0.3:
            pulse = 2 * down / ((fall.impact_g - 1) * G)
            if height + fall.below_m - fall.land_m <= down * pulse / 2:
                return np.array(leans), np.array(heights), np.array(speeds)
        if gave_way is None and lean > radians(fall.buckle_deg):
            gave_way = t
        loose = 0.0 if gave_way is None else fall.buckle * (1 - exp(-(((t - gave_way) / 0.12) ** 2)))
        held = fall.hold * (1.0 if t < fall.struggle_s else exp(-(((t - fall.struggle_s) / 0.1) ** 2)))
        weight = G * (1 - fall.brake * min(1.0, max(0.0, (lean - 0.3) / 0.5)))
        rate += DT_S * ((1 - held) * weight * sin(lean) / (INERTIA * length) - 2 * shrink * rate / length)
        rate = min(rate, 7.0)  # hips and shoulders cannot swing faster
        shrink += DT_S * loose * (length * rate * rate - weight * cos(lean))
        lean += DT_S * rate
        length = max(0.15, length + DT_S * shrink)
    raise ValueError(f"{fall} never lands")


@lru_cache(maxsize=512)
def _fell(fall: Fall, leg_m: float, floor_m: float, speed: float, pitch: float, roll: float, yaw: float) -> Fell:
    """The whole fall from that stance. Kept, since every block of it asks again."""
    rng = np.random.default_rng([fall.seed, 10])
    lean, height, over = _tipped(fall, leg_m, speed)
    hit = len(lean) - 1
    count = hit + int(2.5 / DT_S)
    s = _grid(count)
    contact = hit * DT_S
    after = s - contact
    toward = radians(fall.toward_deg)

    # straight down: a sin² pulse, then the trunk's contact and ringing
    fallen = np.empty(count)
    fallen[: hit + 1] = height
    down = (height[-2] - height[-1]) / DT_S
    pulse = 2 * down / ((fall.impact_g - 1) * G)
    p, w = np.clip(after[hit + 1 :], 0.0, pulse), pi / pulse
    fallen[hit + 1 :] = height[-1] - down * p + down / pulse * (p * p / 2 + (np.cos(2 * w * p) - 1) / (4 * w * w))
    size = fall.impact_g - 1
    hz, second_hz = float(rng.uniform(7, 13)), float(rng.uniform(5, 9))
    share = float(rng.uniform(0.2, 0.45))
    fallen += thud(after - pulse, 0.3 * size, hz, 0.04) + thud(after - fall.after_s, share * size, second_hz, 0.05)

    # along the floor: the gait's speed goes over into the leg's, and slides to rest
    pace = np.empty(count)
    pace[: hit + 1] = (1 - fall.slide) * over * eased(s[: hit + 1], 0.25, 0.0, 1.0)
    pace[hit + 1 :] = settling(after[hit + 1 :], 0.3, pace[hit], 0.0, 0.0)
    left_over = eased(s, max(0.15, min(0.35, contact)), speed, 0.0)
    jolt = np.gradient(thud(after - 0.3 * pulse, 0.35 * size, hz * 1.2, 0.04), DT_S)
    askew = np.gradient(thud(after - 0.2 * pulse, float(rng.uniform(-0.4, 0.4)) * size, hz * 0.9, 0.05), DT_S)
    ahead = left_over - cos(toward) * (pace - jolt)
    aside = sin(toward) * (pace - jolt) + askew * abs(cos(toward))

    # the pelvis turns with the leg, after a bow the other way, wobbling; from contact on it rolls to how it lies
    bow = radians(fall.bow_deg) * np.sin(pi * np.clip(s[: hit + 1] / max(0.35, 0.7 * contact), 0, 1)) ** 2
    tilt = fall.trunk * (lean - lean[0]) - bow
    waves = rng.uniform(1.2, 3.2, 3), rng.uniform(0, tau, 3), radians(1.0) * rng.uniform(0.6, 2.6, 3)
    wobble = eased(s, 0.3, 0.0, 1.0)[:, None] * waves[2] * np.sin(tau * s[:, None] * waves[0] + waves[1])
    wobble *= (1 - eased(after, 0.5, 0.0, 1.0))[:, None]
    upright = 1 - eased(s[: hit + 1], 0.5, 0.0, 1.0)
    lies_pitch, lies_roll = (radians(v + float(rng.uniform(-7, 7))) for v in REST_DEG[fall.rest])
    rolls_s = float(rng.uniform(0.35, 0.75))
    pitched, rolled, turned = np.empty((3, count))
    for course, before, lies in (
        (pitched, pitch * upright - cos(toward) * tilt, lies_pitch),
        (rolled, roll * upright - sin(toward) * tilt, lies_roll),
    ):
        course[: hit + 1] = before
        course[hit + 1 :] = settling(after[hit + 1 :], rolls_s, before[-1], (before[-1] - before[-2]) / DT_S, lies)
    twist = radians(fall.twist_deg)
    turned[:] = yaw + eased(s - 0.3 * contact, 0.7 * contact + 0.3, 0.0, twist)
    struck = [
        radians(float(rng.uniform(3.0, 8.0) * rng.choice((-1, 1)))) * sqrt(fall.impact_g / 5) * _ring(after - 0.02, f, 0.06)
        for f in (hz * 0.8, hz * 0.7, hz * 0.6)
    ]
    return Fell(
        ahead,
        aside,
        floor_m + fallen,
        pitched + wobble[:, 0] + struck[0],
        rolled + wobble[:, 1] + struck[1],
        turned + wobble[:, 2] + struck[2],
        contact,
    )


class NearFall(Phase, frozen=True):
    """Balance is lost and found again: the trunk tips, the body sinks, one quick step catches it."""

    seconds: float = 2.4
    cause: str = "heel catch"
    toward_deg: float = 0.0  # as Fall's
    tip_deg: float = 14.0
    tip_s: float = 0.38
    dip_m: float = 0.05
    strike_g: float = 1.7  # of the foot that catches it
    lurch_m_s: float = 0.4

    def course(self, s: Array, start: Stance, who: Person) -> Course:
        """See Phase. Below the 139.7 deg/s mean peak of real backward slips (Liu & Lockhart 2014) but for the largest."""
        toward, tip, caught = radians(self.toward_deg), radians(self.tip_deg), self.tip_s
        catch = Drop.to(self.dip_m, caught, self.strike_g)
        back = caught + 0.75
        tilt = through(s, 0.0, (0.85 * caught, -0.1 * tip), (caught + 0.12, tip), (back, -0.15 * tip), (back + 0.7, 0.0))
        lurch = through(s, 0.0, (caught, self.lurch_m_s), (caught + 0.5, 0.0))
        sink = catch.height(s - 0.3 * caught) + eased(s - 1.3 * caught - catch.pulse_s, 0.6, 0.0, self.dip_m)
        return Course(
            speed=through(s, start.speed, (back, 0.25 * start.speed), (self.seconds, 0.5 * start.speed)) - cos(toward) * lurch,
            gait=through(s, start.gait, (caught, 0.4 * start.gait), (self.seconds, 0.8 * start.gait)),
            yaw=start.yaw,
            pitch=start.pitch - cos(toward) * tilt,
            roll=start.roll - sin(toward) * tilt + 0.25 * cos(toward) * tilt,
            height=start.height + sink + carried_up(s, start),
            sway=start.sway,
            breath=start.breath,
            aside=sin(toward) * lurch,
        )
