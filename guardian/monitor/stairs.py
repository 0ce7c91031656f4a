"""Stairs taken, up and down, forward and backward alike.

Theory of operation. On stairs the belt gains or loses a riser with each step, most of it in a part of the step: its vertical speed
comes and goes once a stair. A stretch of motion between two quiet moments (vertical acceleration within stair_quiet_m_s2 for
stair_quiet_s: standing, or turning on the spot) is integrated to vertical speed, zero at both ends: the zero-velocity update. In it the
swings of the speed that are large against its rms are counted, in the direction in which the belt is higher or lower at the end. If
each is worth stair_least_m to stair_most_m of the height gained, it was a flight, and all count. Else (level steps before or
after, up and down without a stand between) each swing is asked how far it took the belt, and counts if that is a riser.

So stairs are told when the wearer stands: some stair_quiet_s after the last one of a set. Without a stand, the integral drifts: by
0.1-0.2 m/s in ten seconds on recordings (SisFall D05, an old chip, up to 8 % wrong in scale), and a count over up and down together is
a few off; a stretch longer than stair_stretch_s is not counted. Two stairs taken in one step count as one. The staircase of SisFall's
D05 and D06 seems to have ten stairs: that is what is found in most flights with a stand at both ends.
"""

import math

from msgspec import Struct, field

from guardian.config import Config, ns
from guardian.monitor.parts import PART_S, Part

QUICK, SLOW, TREND = 3, 5, 41  # parts averaged: running up, at ease; and what is no swing: 2 s
FLIGHT = 3  # so many swings make a flight
RETURNED = 0.75  # less of what was climbed is left at the end: it came back


class StairsMemory(Struct):
    """All that changes."""

    parts: list[Part] = field(default_factory=list)  # since the last quiet moment; while quiet, the last stair_quiet_s
    quiet: bool = False
    known: bool = False  # the parts begin in a quiet moment


class Stairs:
    """Parts in, stairs out; see the module's docstring."""

    def __init__(self, config: Config) -> None:
        settings = config.repetitions
        self._quiet = max(2, ns(settings.stair_quiet_s) // ns(PART_S))
        self._bound = settings.stair_quiet_m_s2
        self._longest = ns(settings.stair_stretch_s) // ns(PART_S)
        self._quick_share = settings.stair_swing_quick
        self._slow_share = settings.stair_swing_slow
        self._slow_s = settings.stair_slow_s
        self._least_m_s = settings.stair_swing_m_s
        self._least_m = settings.stair_least_m
        self._most_m = settings.stair_most_m
        self._single_m = settings.stair_single_m

    def step(self, m: StairsMemory, part: Part) -> int:
        """How many stairs are found taken at this part."""
        parts = m.parts
        parts.append(part)
        quiet = self._is_quiet(parts)
        found = 0
        if quiet:
            if m.known and not m.quiet:
                found = self._taken(parts[: len(parts) - self._quiet // 2])
            del parts[: len(parts) - self._quiet]
            m.known = True
        elif len(parts) > self._longest:
            parts.clear()
            m.known = False
        m.quiet = quiet
        return found

    def _is_quiet(self, parts: list[Part]) -> bool:
        if len(parts) < self._quiet:
            return False
        least = most = parts[-1].upward
        for part in parts[-self._quiet :]:
            least = min(least, part.least)
            most = max(most, part.most)
        return most - least < self._bound

    def _taken(self, parts: list[Part]) -> int:
        """Stairs in a stretch, from standing to standing."""
        speed = total = 0.0
        for part in parts:
            speed += part.upward * part.dt_s
            total += part.dt_s
        drift = speed / total
        speed = risen = 0.0
        speeds: list[float] = []
        for part in parts:
            speed += (part.upward - drift) * part.dt_s
            risen += speed * part.dt_s
            speeds.append(speed)
        quick = _averaged(speeds, QUICK)
        gains = self._gains(parts, quick, risen, self._quick_share)
        if len(gains) * self._slow_s < total:
            slow = _averaged(speeds, SLOW)
            gains = self._gains(parts, slow, risen, self._slow_share)
        if len(gains) >= FLIGHT and self._least_m * len(gains) <= abs(risen) <= self._most_m * len(gains):
            return len(gains)
        losses = self._gains(parts, quick, -risen, self._quick_share)
        swings = [gain for gain in (*gains, *losses) if self._least_m <= gain <= self._most_m]
        if len(swings) < FLIGHT:  # one or two: as high at the end as they went, or something was picked up; and no chair
            climbed = 0.0
            for gain in swings:
                climbed += gain
            if abs(risen) < RETURNED * climbed or max(swings, default=0.0) > self._single_m:
                return 0
        return len(swings)

    def _gains(self, parts: list[Part], speeds: list[float], way: float, share: float) -> list[float]:
        """How far each stair took the belt, m, upward where `way` is positive, else downward."""
        power = 0.0
        for speed, slow in zip(speeds, _averaged(speeds, TREND), strict=True):
            power += (speed - slow) * (speed - slow)
        swing = max(self._least_m_s, share * math.sqrt(power / len(speeds)))
        return _swings(parts, speeds if way > 0.0 else [-speed for speed in speeds], swing)


def _averaged(values: list[float], width: int) -> list[float]:
    """Means of up to `width` values around each, odd."""
    half, n = width // 2, len(values)
    totals = [0.0]
    for value in values:
        totals.append(totals[-1] + value)
    return [(totals[min(n, i + half + 1)] - totals[max(0, i - half)]) / (min(n, i + half + 1) - max(0, i - half)) for i in range(n)]


def _swings(parts: list[Part], speeds: list[float], swing: float) -> list[float]:
    """How far each swing of the speed (up by more than `swing`, down again) took the belt, from the least speed before to that after."""
    gains: list[float] = []
    gone = gone_at_low = 0.0  # since the least speed before this swing; until the least after it
    low, peak, rising, whole = speeds[0], 0.0, False, False
    for part, speed in zip(parts, speeds, strict=True):
        gone += speed * part.dt_s
        if rising:
            peak = max(peak, speed)
            if speed < peak - swing:
                rising, whole, low, gone_at_low = False, True, speed, gone
        elif speed <= low:
            low, gone_at_low = speed, gone
        elif speed > low + swing:
            if whole:
                gains.append(gone_at_low)
            gone -= gone_at_low
            rising, whole, peak = True, False, speed
    if whole:
        gains.append(gone_at_low)
    return gains
