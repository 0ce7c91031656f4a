"""The simulated body: a person goes through a script of phases, with a belt at the waist.

Theory of operation. A script is a row of phases (Stand, Walk, TripBackward ...). Each phase says, as smooth functions of the time since it
began, how fast the body goes, which way it faces, how the trunk leans, how high the belt is, and how much of gait, sway and breathing is
in it; it starts from where the phase before it ended. Body turns these courses into the belt's position and orientation on a grid of
2 ms, and takes from that path, by central differences, what an inertial sensor feels there: specific force R^T (a - g) and the angular
rate of the same R. So force and rate always belong to one motion, and a correct attitude filter must agree with the path.

Gait is a sum of harmonics of the step phase Φ. Walking backward is the same sum with Φ running down: kinematics nearly reverse in time
(Winter, Pluck & Yang 1989), so acceleration keeps its sign and angular rate changes it.

Orientation is R = Rz(yaw) Ry(pitch) Rx(roll) from body to world: pitch > 0 leans forward, -90° lies on the back. World axes: x forward at
the start, y left, z up; metres, seconds, radians inside, degrees in names that say so.
"""

from dataclasses import dataclass
from math import cos, radians, sin, tau

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from guardian.sim.gait import LOOSE_HZ, G, Waves
from guardian.sim.person import Person
from guardian.sim.phases import Array, Hold, Phase, Stance, Walk, eased

STEP_NS = 2_000_000  # grid of the path, 500 Hz: ten times the chips' low-pass
STEP_S = STEP_NS / 1e9
BLOCK = 2048  # samples made at a time


@dataclass(eq=False)
class _Begun:
    """A phase that has begun: its first sample and the stance it started from."""

    phase: Phase
    first: int
    start: Stance


class Body:
    """The path of one person's belt through a script, made as far as it is asked for.

    motion(t_ns) is what an inertial sensor in the belt feels; pose and the rest are the truth behind it. `end_walk` rewrites the future.
    """

    def __init__(self, who: Person, script: tuple[Phase, ...]) -> None:
        self.who = who
        self._script = [*script, Hold()]
        rng = np.random.default_rng([who.seed, 3])
        self._sway = [
            (float(rng.uniform(*band)), float(rng.uniform(0, tau)), float(rng.uniform(0, tau)))
            for band in ((0.12, 0.2), (0.25, 0.4), (0.45, 0.7), (0.8, 1.1))
        ]
        self._uneven = rng.uniform(0, tau, 4)
        self._rattle: Array | None = None
        self._loose_hz, self._loose_phase = rng.uniform(*LOOSE_HZ, (6, 5)), rng.uniform(0, tau, (6, 5))
        p, r = radians(who.belt_pitch_deg), radians(who.belt_roll_deg)
        self._mount = np.array([
            [cos(p), sin(p) * sin(r), sin(p) * cos(r)],
            [0.0, cos(r), -sin(r)],
            [-sin(p), cos(p) * sin(r), cos(p) * cos(r)],
        ])  # fmt: skip
        self._begun = [_Begun(self._script[0], 0, Stance(height=who.belt_height_m))]
        self._now = self._begun[0].start  # place, step phase and steps at the end of what is made
        self._made = 0  # samples of path
        self._felt = 0  # samples of motion
        self._path = np.zeros((BLOCK, 6))  # x y z roll pitch yaw
        self._motion = np.zeros((BLOCK, 6))
        self._gone = np.zeros((BLOCK, 2))  # steps, heading without the gait's own turning

    # --- what was and will be -------------------------------------------------------------------------------------------------

    def motion(self, t_ns: NDArray[np.int64]) -> Array:
        """Specific force x y z (m/s²), angular rate x y z (rad/s) in the belt's axes at `t_ns` (increasing): (n, 6)."""
        index = t_ns // STEP_NS
        self._reach(int(index[-1]) + 1)
        low = self._motion[index]
        felt: Array = low + ((t_ns - index * STEP_NS) / STEP_NS)[:, None] * (self._motion[index + 1] - low)
        return felt

    def pose(self, t_ns: int) -> tuple[float, float, float, float, float, float]:
        """Position of the belt x y z (m) and roll, pitch, yaw of the trunk (rad)."""
        i = t_ns // STEP_NS
        self._reach(i + 1)
        low = self._path[i]
        x, y, z, roll, pitch, yaw = (low + (t_ns - i * STEP_NS) / STEP_NS * (self._path[i + 1] - low)).tolist()
        return x, y, z, roll, pitch, yaw

    def rear_axis(self, t_ns: int) -> tuple[float, float, float]:
        """Where the belt's rear side looks: a unit vector, world axes."""
        _, _, _, roll, pitch, yaw = self.pose(t_ns)
        a, b, c = (-float(v) for v in self._mount[:, 0])
        b, c = cos(roll) * b - sin(roll) * c, sin(roll) * b + cos(roll) * c
        a, c = cos(pitch) * a + sin(pitch) * c, -sin(pitch) * a + cos(pitch) * c
        return cos(yaw) * a - sin(yaw) * b, sin(yaw) * a + cos(yaw) * b, c

    def steps(self, t_ns: int) -> int:
        """Steps completed."""
        self._reach(t_ns // STEP_NS + 1)
        return int(self._gone[t_ns // STEP_NS, 0])

    def backward_m_s(self, t_ns: int) -> float:
        """Mean speed backward over the last stride (two steps; 1.5 s at most), m/s."""
        i = t_ns // STEP_NS
        self._reach(i + 1)
        first = max(0, i - int(1.5 / STEP_S))
        first += int(np.searchsorted(self._gone[first : i + 1, 0], self._gone[i, 0] - 2.0, side="right")) - 1
        first = max(0, first)
        if first >= i:
            return 0.0
        heading = self._gone[i, 1]
        gone = self._path[i, :2] - self._path[first, :2]
        return -float(gone[0] * cos(heading) + gone[1] * sin(heading)) / ((i - first) * STEP_S)

    def phase(self, t_ns: int) -> Phase:
        """The phase of that time."""
        return self._at(t_ns // STEP_NS).phase

    def begins_ns(self, kind: type[Phase], after_ns: int = 0) -> int | None:
        """When the first phase of that kind that is not over at `after_ns` begins, as the script stands; None if none follows."""
        begin = 0
        for phase in self._script:
            length = _samples(phase)
            if isinstance(phase, kind) and (begin + length) * STEP_NS > after_ns:
                return begin * STEP_NS
            begin += length
        return None

    def told(self, end_ns: int) -> tuple[tuple[float, float, Phase, Stance], ...]:
        """What was done up to `end_ns`, in order: begin (s), end (s), phase, and the stance it began from."""
        self._reach(end_ns // STEP_NS + 1)
        begun = [one for one in self._begun if one.first * STEP_NS < end_ns]
        ends = [*(one.first for one in begun[1:]), end_ns // STEP_NS]
        return tuple((one.first * STEP_S, end * STEP_S, one.phase, one.start) for one, end in zip(begun, ends, strict=True))

    def step_times_s(self, end_ns: int) -> Array:
        """When each step was completed, up to `end_ns`, s."""
        self._reach(end_ns // STEP_NS + 1)
        done = np.floor(self._gone[: end_ns // STEP_NS + 1, 0] + 1e-3)
        return np.repeat(np.arange(1, len(done)) * STEP_S, np.clip(np.diff(done), 0, None).astype(np.int64))

    @property
    def reacting_ns(self) -> tuple[tuple[int, int], ...]:
        """Spans (begin, end) in which a heard STOP would change the script."""
        spans, begin = [], 0
        for phase in self._script:
            length = _samples(phase)
            if isinstance(phase, Walk) and phase.stops_on_sound:
                spans.append((begin * STEP_NS, (begin + length) * STEP_NS))
            begin += length
        return tuple(spans)

    def end_walk(self, t_ns: int) -> bool:
        """Cut the walk of that time short there; what follows in the script moves up. False if there is nothing to cut.

        Motion up to `t_ns` stays as it was: the cut lies two samples later, since differences and interpolation look one ahead each.
        """
        i = t_ns // STEP_NS + 2
        at = self._at(t_ns // STEP_NS)
        if not isinstance(at.phase, Walk) or i - at.first >= _samples(at.phase):
            return False
        number = self._begun.index(at)
        self._script[number] = replace(at.phase, seconds=(i - at.first) * STEP_S)
        at.phase = self._script[number]
        del self._begun[number + 1 :]
        self._now = at.start
        self._made = min(self._made, at.first)
        self._felt = min(self._felt, max(0, at.first - 1))
        return True

    # --- making the path ------------------------------------------------------------------------------------------------------

    def _at(self, index: int) -> _Begun:
        self._reach(index + 1)
        return next(begun for begun in reversed(self._begun) if begun.first <= index)

    def _reach(self, index: int) -> None:
        """Make motion up to and including sample `index`."""
        while self._felt <= index:
            self._make_block()
            self._feel()

    def _make_block(self) -> None:
        """The next samples of the path, to the end of the phase at most; then the next phase begins."""
        begun, who, now = self._begun[-1], self.who, self._now
        phase, start = begun.phase, begun.start
        done = self._made - begun.first
        count = min(BLOCK, _samples(phase) - done)
        s = (done + np.arange(count + 1, dtype=np.float64)) * STEP_S
        speed, gait, yaw, pitch, roll, height, sway, breath, aside = (np.broadcast_to(v, s.shape) for v in phase.course(s, start, who))
        cadence, direction, waves = phase.pace(start, who)
        own_steps = phase.stepping(s, start, who)
        if own_steps is not None and done == 0:  # feet are on the floor where such a phase begins
            now = replace(now, steps=round(now.steps) + 1e-6, step_phase=tau * round(now.step_phase / tau))

        # Φ turns at the step rate; it starts and stops with the gait, quickly, as the first and last steps are whole ones
        fresh = start.waves is None or start.gait < 0.05
        rate = (cadence if fresh else eased(s, 1.0, start.cadence, cadence)) * (1 - (1 - gait) ** 3) if own_steps is None else own_steps
        steps = now.steps + _sum(rate)
        step_phase = now.step_phase + direction * tau * _sum(rate)
        heading_x, heading_y = np.cos(yaw), np.sin(yaw)
        x = now.x + _sum(speed * heading_x - aside * heading_y)
        y = now.y + _sum(speed * heading_y + aside * heading_x)

        path = np.zeros((count + 1, 6))
        t = s + begun.first * STEP_S
        changes = not fresh and start.waves is not waves  # another gait: from one into the other
        if waves is not None and gait.any():
            mix = eased(s, 1.0, 0.0, 1.0) if changes else np.ones(count + 1)
            path[:] = (mix * gait)[:, None] * self._stepping(step_phase, t, waves)
            if start.waves is not None and changes and s[0] < 1.0:
                path += ((1 - mix) * gait)[:, None] * self._stepping(step_phase, t, start.waves)
        nod, lean = self._swaying(t)
        nod, lean = sway * nod, sway * lean
        ahead = path[:, 0] + who.belt_height_m * nod  # sway turns about the ankles
        left = path[:, 1] - who.belt_height_m * lean
        path[:, 0] = x + heading_x * ahead - heading_y * left
        path[:, 1] = y + heading_y * ahead + heading_x * left
        path[:, 2] += height
        path[:, 3] += roll + lean
        path[:, 4] += pitch + nod + breath * radians(who.breath_deg) * np.sin(tau * who.breath_hz * t)
        path[:, 5] += yaw

        self._room_for(self._made + count)
        self._path[self._made : self._made + count] = path[:-1]
        self._gone[self._made : self._made + count, 0] = steps[:-1]
        self._gone[self._made : self._made + count, 1] = yaw[:-1]
        self._made += count
        ends = {"x": x, "y": y, "step_phase": step_phase, "steps": steps}
        self._now = replace(now, **{name: float(value[-1]) for name, value in ends.items()})
        if done + count == _samples(phase):
            ends = {
                "yaw": yaw,
                "pitch": pitch,
                "roll": roll,
                "height": height,
                "speed": speed,
                "gait": gait,
                "sway": sway,
                "breath": breath,
            }
            self._now = replace(
                self._now,
                **{name: float(value[-1]) for name, value in ends.items()},
                cadence=cadence if own_steps is None or gait[-1] < 0.5 else float(own_steps[-1]),  # cut short: at its own rate
                floor=start.floor + phase.rise(float(s[-1]), start, who),
                rising=float(height[-1] - height[-2]) / STEP_S,
                direction=direction,
                waves=waves,
            )
            self._begun.append(_Begun(self._script[len(self._begun)], self._made, self._now))

    def _stepping(self, step_phase: Array, t: Array, waves: Waves) -> Array:
        """Gait's part of the path: (n, 6). Steps differ in size and time by some per cent, as people's do (the uneven sums)."""
        a, b, c, d = self._uneven
        more = self.who.uneven
        uneven = step_phase + more * 0.09 * np.sin(0.23 * step_phase + a) + more * 0.07 * np.sin(0.41 * step_phase + b)
        size = 1 + more * 0.10 * np.sin(0.37 * step_phase + c) + more * 0.08 * np.sin(0.61 * step_phase + d)
        half = np.exp(0.5j * uneven)
        if waves.halves is not None:
            felt: Array = (waves.locked @ _powers(half, waves.halves)).real.T * size[:, None] + self._rattling(t) * waves.loose
            return felt
        one = half * half
        two, three = one * one, one * one * one
        turning = np.stack([half, one, one * half, two, two * half, three, two * two, two * three])
        moved: Array = (waves.locked @ turning).real.T * size[:, None]
        for axis in range(6):
            rates = tau * self._loose_hz[axis]
            size = waves.loose[axis] * np.sqrt(2 / len(rates)) / (rates * rates if axis < 3 else rates)
            moved[:, axis] += size @ np.sin(np.outer(rates, t) + self._loose_phase[axis][:, None])
        return moved

    def _rattling(self, t: Array) -> Array:
        """What is not in step, of unit rms in force and rate: a path that repeats after a minute. (n, 6)."""
        if self._rattle is None:
            self._rattle = rattle(self.who.seed)
        return self._rattle[np.rint(t / STEP_S).astype(np.int64) % len(self._rattle)]

    def _swaying(self, t: Array) -> tuple[Array, Array]:
        """Quiet standing's own motion at times `t` (s): pitch and roll, rad."""
        nod, lean = np.zeros(len(t)), np.zeros(len(t))
        for rate_hz, a, b in self._sway:
            size = radians(self.who.sway_deg) * min(1.0, 0.3 / rate_hz)
            nod += size * np.sin(tau * rate_hz * t + a)
            lean += 0.6 * size * np.sin(tau * rate_hz * 0.93 * t + b)
        return nod, lean

    def _room_for(self, samples: int) -> None:
        if samples > len(self._path):
            size = max(samples, 2 * len(self._path))
            for name in ("_path", "_motion", "_gone"):
                old: Array = getattr(self, name)
                new = np.zeros((size, old.shape[1]))
                new[: len(old)] = old
                setattr(self, name, new)

    def _feel(self) -> None:
        """Motion wherever a sample has both neighbours on the path."""
        first, end = max(1, self._felt), self._made - 1
        if end <= first:
            return
        path = self._path[first - 1 : end + 1]
        ax, ay, az = ((path[2:, :3] - 2 * path[1:-1, :3] + path[:-2, :3]) / (STEP_S * STEP_S)).T
        roll_rate, pitch_rate, yaw_rate = ((path[2:, 3:] - path[:-2, 3:]) / (2 * STEP_S)).T
        (sin_roll, sin_pitch, sin_yaw), (cos_roll, cos_pitch, cos_yaw) = np.sin(path[1:-1, 3:].T), np.cos(path[1:-1, 3:].T)
        az = az + G
        ahead, left = cos_yaw * ax + sin_yaw * ay, cos_yaw * ay - sin_yaw * ax
        up = sin_pitch * ahead + cos_pitch * az
        about_up = cos_pitch * yaw_rate
        force = np.stack([cos_pitch * ahead - sin_pitch * az, cos_roll * left + sin_roll * up, cos_roll * up - sin_roll * left], axis=1)
        turn = np.stack(
            [
                roll_rate - sin_pitch * yaw_rate,
                cos_roll * pitch_rate + sin_roll * about_up,
                cos_roll * about_up - sin_roll * pitch_rate,
            ],
            axis=1,
        )
        self._motion[first:end, :3] = force @ self._mount
        self._motion[first:end, 3:] = turn @ self._mount
        if self._felt == 0:
            self._motion[0] = self._motion[1]
        self._felt = end


def _sum(rate: Array) -> Array:
    """Its integral over the grid, 0 at the first sample."""
    total = np.zeros(len(rate))
    np.cumsum(rate[:-1] * STEP_S, out=total[1:])
    return total


def _powers(half: NDArray[np.complex128], wanted: NDArray[np.int64]) -> NDArray[np.complex128]:
    """half**k for each k wanted, increasing: (k, n)."""
    rows = np.empty((len(wanted), len(half)), dtype=np.complex128)
    power, reached = np.ones_like(half), 0
    for row, k in enumerate(wanted):
        for _ in range(reached, k):
            power = power * half
        rows[row], reached = power, int(k)
    return rows


RATTLE = 32_768  # samples: 66 s
RATTLE_HZ = (1.5, 12.5)


def rattle(seed: int) -> Array:
    """Band-limited noise whose second difference (x y z) or first (angles) has unit rms, level over RATTLE_HZ: (RATTLE, 6)."""
    rng = np.random.default_rng([seed, 6])
    hz = np.fft.rfftfreq(RATTLE, STEP_S)
    band = (hz >= RATTLE_HZ[0]) & (hz <= RATTLE_HZ[1])
    lines = np.zeros((6, len(hz)), dtype=np.complex128)
    lines[:, band] = rng.standard_normal((6, int(band.sum()))) + 1j * rng.standard_normal((6, int(band.sum())))
    felt = np.fft.irfft(lines, RATTLE)
    lines /= felt.std(axis=1, keepdims=True)
    omega = np.where(band, tau * hz, 1.0)
    lines[:3] /= -(omega * omega)
    lines[3:] /= 1j * omega
    return np.ascontiguousarray(np.fft.irfft(lines, RATTLE).T)


def _samples(phase: Phase) -> int:
    return 2**60 if phase.seconds == float("inf") else round(phase.seconds / STEP_S)
