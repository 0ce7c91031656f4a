"""MIND: pure. One step a tick, frame in, verdict out; no clock, no I/O, no randomness, and the same floats on every machine."""

from typing import Any

import msgspec

from guardian.config import Calibration, Config
from guardian.frame import Frame
from guardian.monitor.estimate import Attitude, Pose
from guardian.monitor.fall import FallDetector, FallSigns
from guardian.monitor.gait import Gait, Stride
from guardian.monitor.health import Health
from guardian.monitor.obstacle import ObstacleRule
from guardian.monitor.policy import Policy
from guardian.monitor.quality import GaitQuality, Quality
from guardian.monitor.repetitions import Repetitions, Reps
from guardian.verdict import Resume, Verdict


class Monitor:
    """The whole mind. `model`: the fall model's bytes, None where `fall.rule` names a published rule; `resume`: what outlived a restart."""

    def __init__(self, config: Config, calibration: Calibration | None, model: bytes | None, resume: Resume) -> None:
        self.health = Health(config)
        self.attitude = Attitude(config, calibration)
        self.gait = Gait(config)
        self.quality = GaitQuality(config)
        self.repetitions = Repetitions(config)
        self.fall = FallDetector(config, model)
        self.obstacle = ObstacleRule(config, calibration)
        self.policy = Policy(config, resume)
        self._pose: Pose | None = None
        self._stride = Stride()
        self._quality = Quality()
        self._reps = Reps()

    def step(self, frame: Frame) -> Verdict:
        """One tick's verdict. Never raises, whatever the frame holds."""
        condition = self.health.step(frame)
        exercise = self.policy.exercise
        signs: FallSigns | None = None
        for sample in frame.imu:
            self._pose = pose = self.attitude.step(sample, self._stride.walking)
            self._stride = stride = self.gait.step(pose)
            self._quality = self.quality.step(pose, stride)
            self._reps = self.repetitions.step(pose, exercise)
            seen = self.fall.step(pose, exercise)
            signs = seen if signs is None else signs.merged(seen)
            if pose.still:
                self.health.still_second(*self.attitude.still_means)
        trusted = self._pose if condition.imu_ok else None
        behind = self.obstacle.step(
            frame.t_ns,
            frame.echo,
            trusted,
            self._stride if condition.imu_ok else None,
            exercise,
            condition.echo_ok,
            self._quality.speed_m_s if condition.imu_ok else 0.0,
        )
        return self.policy.step(frame, condition, self._pose, self._stride, self._quality, self._reps, signs, behind)

    def _parts(self) -> dict[str, Any]:
        return {
            "health": self.health,
            "attitude": self.attitude,
            "gait": self.gait,
            "quality": self.quality,
            "repetitions": self.repetitions,
            "fall": self.fall,
            "obstacle": self.obstacle,
            "policy": self.policy,
            "presses": self.policy.presses,
            "sounds": self.policy.sounds,
            "summary": self.policy.summary,
            "coach": self.policy.coach,
        }

    def snapshot(self) -> dict[str, Any]:
        """All that the monitor remembers, as plain JSON types: with it and the frames that follow, replay goes on exactly."""
        memory = {name: msgspec.to_builtins(part.memory) for name, part in self._parts().items()}
        last = {"pose": self._pose, "stride": self._stride, "last_quality": self._quality, "reps": self._reps}
        return memory | {name: msgspec.to_builtins(one) for name, one in last.items()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a snapshot. Raises msgspec.ValidationError when it is not one of this version."""
        for name, part in self._parts().items():
            part.memory = msgspec.convert(snapshot[name], type(part.memory))
        self._pose = msgspec.convert(snapshot["pose"], Pose | None)
        self._stride = msgspec.convert(snapshot["stride"], Stride)
        self._quality = msgspec.convert(snapshot["last_quality"], Quality)
        self._reps = msgspec.convert(snapshot["reps"], Reps)
