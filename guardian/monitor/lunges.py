"""Backward lunges: which leg, how deep, how slow.

Theory of operation. A lunge is one sink and rise of the belt by some decimetres, over seconds, with the trunk upright. The vertical
acceleration, its slow mean taken off, is integrated twice by integrators that forget (lunge_leak_s): the chip's zero error cannot run
away, and what lasts a second or five comes through. A fall of this height by lunge_swing_m and a rise as much is a candidate; it
is over when its upward speed has come down to lunge_calm_share of its greatest, and lunge_after_s later it is judged.

Judged on what was kept of the last seconds: from a moment before the sinking began to now the belt was at rest at both ends and as
high as before, so an offset and a trend of acceleration are found that make it so, and with these off, the double integral is the
height: the zero-velocity update with the height closed too. From it come depth, and the times down and up (from 5 to 95 % of the depth,
the hold at the bottom in neither). It counts if depth and times are a lunge's, the trunk stayed upright, and the pelvis went back as it
sank and forward again as it rose: that surge tells it from a squat, from picking something up, from a lunge forward. Sitting down
does not come up again in time; a hop is too quick; walking's rise and fall is a tenth of it.

The leg. The pelvis turns toward the leg that is behind: in walking by about 4° each side (Saunders, Inman & Eberhart 1953, J Bone Joint
Surg 35-A:543, the first determinant of gait). A lunge is a long step held; that it turns the same way is plausible, and the simulated
people were made to; it was not tried on people. The rate about the vertical is integrated and straightened between the moments before
and after, when both feet stood side by side, so neither the gyroscope's zero error nor a slow drift of the wearer counts.
"""

from typing import Literal

from msgspec import Struct, field

from guardian.config import Config, cos_deg, ns
from guardian.monitor.parts import PART_S, Part
from guardian.verdict import Leg, Rep

SWUNG = 0.3  # of the surge: the least swing to the other side after it


class LungesMemory(Struct):
    """All that changes."""

    parts: list[Part] = field(default_factory=list)  # the last lunge_most_s and what lies before, newest last
    speeds: list[float] = field(default_factory=list)  # upward, m/s, forgetting; one a part
    surges: list[float] = field(default_factory=list)  # forward, m/s, forgetting fast; one a part
    mean: float | None = None  # of the vertical acceleration
    height: float = 0.0  # m, forgetting
    stage: Literal["up", "down", "rising"] = "up"
    mark: float = 0.0  # up: the height sinking began from; down: the lowest; rising: the greatest speed
    fastest: float = 0.0  # sinking: the least speed, m/s
    since: int = 0  # parts since then
    calm: int = 0  # parts since the rise was over; 0: it is not


class Lunges:
    """Parts in, lunges out; see the module's docstring."""

    def __init__(self, config: Config) -> None:
        settings = config.repetitions
        self._mean_s = settings.lunge_mean_s
        self._leak_s = settings.lunge_leak_s
        self._surge_leak_s = settings.lunge_surge_leak_s
        self._swing_m = settings.lunge_swing_m
        self._calm_share = settings.lunge_calm_share
        self._after = _parts(settings.lunge_after_s)
        self._before = _parts(settings.lunge_before_s)
        self._lead = _parts(settings.lunge_lead_s)
        self._feet = _parts(settings.lunge_feet_s)
        self._longest = _parts(settings.lunge_most_s)
        self._kept = self._longest + _parts(settings.lunge_most_s) // 2
        self._depth = settings.lunge_depth_least_m, settings.lunge_depth_most_m
        self._least_s = settings.lunge_least_s
        self._drift = settings.lunge_drift_m_s2
        self._detour = settings.lunge_detour
        self._blow = settings.lunge_blow_m_s2
        self._surge = settings.lunge_surge_m_s
        self._surges = settings.lunge_both_surges_m_s
        self._lean_cos = cos_deg(settings.lunge_lean_most_deg)

    def step(self, m: LungesMemory, part: Part) -> Rep | None:
        """The lunge that is found complete at this part; its number is the caller's to give."""
        dt = part.dt_s
        if m.mean is None:
            m.mean = part.upward
        m.mean += (part.upward - m.mean) * dt / (self._mean_s + dt)
        last = m.speeds[-1] if m.speeds else 0.0
        speed = last + (part.upward - m.mean) * dt - last * dt / self._leak_s
        m.height += speed * dt - m.height * dt / self._leak_s
        surge = m.surges[-1] if m.surges else 0.0
        m.surges.append(surge + part.forward * dt - surge * dt / self._surge_leak_s)
        m.speeds.append(speed)
        m.parts.append(part)
        if len(m.parts) > self._kept:
            del m.parts[0], m.speeds[0], m.surges[0]
        return self._watch(m, speed)

    def _watch(self, m: LungesMemory, speed: float) -> Rep | None:
        height = m.height
        if m.stage == "up":
            if speed >= 0.0:
                m.mark, m.fastest = height, 0.0
            self._sinking(m, speed)
            if height < m.mark - self._swing_m:
                m.stage, m.mark = "down", height
        elif m.stage == "down":
            self._sinking(m, speed)
            if height < m.mark:
                m.mark = height
            elif height > m.mark + self._swing_m:
                m.stage, m.mark, m.calm = "rising", speed, 0
        else:
            m.since += 1
            m.mark = max(m.mark, speed)
            m.calm = m.calm + 1 if speed < self._calm_share * m.mark else 0
            if m.calm > self._after:
                m.stage, m.mark, m.fastest = "up", height, 0.0
                return self._judged(m)
        if m.since > self._longest:  # never came up: drift, or a chair
            m.stage, m.mark, m.fastest, m.since = "up", height, 0.0, 0
        return None

    def _sinking(self, m: LungesMemory, speed: float) -> None:
        if speed < m.fastest:
            m.fastest, m.since = speed, 0
        else:
            m.since += 1

    def _judged(self, m: LungesMemory) -> Rep | None:
        """The lunge that ends now, if it is one."""
        sank = fastest = max(1, len(m.speeds) - 1 - m.since)
        drift = min(0.0, max(m.speeds[max(0, fastest - self._lead) : fastest], default=0.0))
        calm = drift + self._calm_share * (m.speeds[fastest] - drift)
        while sank > 1 and m.speeds[sank] < calm:
            sank -= 1
        first = max(1, sank - self._before)
        parts = m.parts[first:]
        closing = Closing(parts)
        heights = closing.heights
        deepest = 0
        for i, height in enumerate(heights):
            if height < heights[deepest]:
                deepest = i
        depth = -heights[deepest]
        if not self._depth[0] <= depth <= self._depth[1] or abs(closing.offset - (m.mean or 0.0)) > self._drift:
            return None
        if closing.way > self._detour * 2.0 * depth or any(abs(part.upward - closing.offset) > self._blow for part in parts[:deepest]):
            return None
        begin, low, high, end = _crossings(heights, depth)
        down_s, up_s = (parts[low].t_ns - parts[begin].t_ns) * 1e-9, (parts[end].t_ns - parts[high].t_ns) * 1e-9
        if down_s < self._least_s or up_s < self._least_s or min(part.lean_cos for part in parts) < self._lean_cos:
            return None
        stood = max(1, sank - self._feet)
        turns = first + deepest
        sinking, rising = m.surges[stood:turns] or [0.0], m.surges[turns:]
        back, forth = -min(sinking), max(rising)
        if min(back, forth) < self._surge or back + forth < self._surges:
            return None
        if max(sinking[sinking.index(-back) :]) < SWUNG * back:
            return None  # what forgets a surge swings through to the other side after it: this was the swing after a surge forward
        leg: Leg = "left" if _turned(m.parts[stood:], first - stood, heights, 0.5 * depth) > 0.0 else "right"
        return Rep(0, parts[end].t_ns, leg, depth, down_s, up_s)


def _parts(seconds: float) -> int:
    return max(1, ns(seconds) // ns(PART_S))


class Closing:
    """Heights of a belt that is at rest, and equally high, before the first and after the last of some parts.

    `heights` at the end of each, m; `way`: up and down, without sign; `offset`, m/s²: what the acceleration had to be too high by.
    """

    def __init__(self, parts: list[Part]) -> None:
        speed = height = total = 0.0
        for part in parts:
            speed += part.upward * part.dt_s
            height += speed * part.dt_s
            total += part.dt_s
        # acceleration's offset at the beginning and trend that integrate to this speed and height in this time
        trend = 12.0 * (0.5 * speed * total - height) / (total * total * total)
        first = speed / total - 0.5 * trend * total
        self.offset = speed / total
        self.heights: list[float] = []
        self.way = 0.0
        speed = height = at = 0.0
        for part in parts:
            dt = part.dt_s
            speed += (part.upward - first - trend * (at + 0.5 * dt)) * dt
            height += speed * dt
            at += dt
            self.way += abs(speed * dt)
            self.heights.append(height)


def _crossings(heights: list[float], depth: float) -> tuple[int, int, int, int]:
    """First and last index 5 % deep, and between them first and last 95 % deep: begin, low, high, end."""
    shallow, deep = -0.05 * depth, -0.95 * depth
    low = high = next(i for i, height in enumerate(heights) if height <= deep)
    for i, height in enumerate(heights):
        if height <= deep:
            high = i
    begin, end = low, high
    while begin > 0 and heights[begin - 1] <= shallow:
        begin -= 1
    while end < len(heights) - 1 and heights[end] <= shallow:
        end += 1
    return begin, low, high, end


def _turned(parts: list[Part], skipped: int, heights: list[float], below: float) -> float:
    """Mean heading while deeper than `below`, against the line between first and last part; any scale, + to the left."""
    total = time = 0.0
    for part in parts:
        total += part.turning * part.dt_s
        time += part.dt_s
    drift = total / time
    heading = mean = 0.0
    for i, part in enumerate(parts):
        heading += (part.turning - drift) * part.dt_s
        if i >= skipped and heights[i - skipped] < -below:
            mean += heading
    return mean
