"""What one attitude step costs, and how true it is: ours, imufusion and ahrs on the same samples of simulated walking and running.

usage: python -m lab.attitude [--rounds 7]

The samples are those of a simulated LSM6DSOX through the driver. Peers are at their own default parameters, told only the sample rate;
each gets its samples ready in the arrays and units that it asks for. Ours is Attitude.step, whole: besides the vertical it learns the
gyroscope's bias and how the belt sits, tells posture, stillness and trust, and makes the Pose. imufusion is C, ahrs and ours are Python.

    us         microseconds a sample: the median of the rounds, in which all take turns, and the least
    rms, p99   angle between the vertical it tells and the true one at that sample's time, degrees, after the first WARM_S
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import ahrs
import imufusion
import numpy as np
from numpy.typing import NDArray

from guardian.config import Config, load
from guardian.drivers.sensors import Sensors
from guardian.frame import ImuSample
from guardian.monitor.estimate import Attitude
from guardian.sim.bench import Bench
from guardian.sim.person import Person
from guardian.sim.phases import Phase, Stand, Turn, Walk
from guardian.sim.striding import Run
from guardian.sim.world import Story

G = 9.80665
RATE_HZ = 104.0
WARM_S = 5.0
Floats = NDArray[np.float64]
COURSES: dict[str, tuple[Phase, ...]] = {
    "walking": (Stand(5), Walk(40, speed=-0.6), Stand(4), Turn(2.0), Walk(30, speed=0.9), Stand(4), Walk(35, speed=-0.8)),
    "running": (Stand(5), *(phase for _ in range(4) for phase in (Walk(4, speed=-0.8), Run(20, speed=-1.8), Stand(6)))),
}


@dataclass
class Course:
    """Samples of somebody's way, and the true vertical at each, in the box's axes: (n, 3)."""

    samples: list[ImuSample]
    true_up: Floats


class Silence:
    """An inbox with nothing in it."""

    def faults(self) -> tuple[()]:
        """None."""
        return ()

    def commands(self) -> tuple[()]:
        """None."""
        return ()


def course(config: Config, script: tuple[Phase, ...]) -> Course:
    """Go it."""
    story = Story(Person(), script)  # whose belt sits straight: the trunk's vertical is the box's
    bench = Bench(config, story)
    sensors = Sensors(bench.hardware, config, Silence())
    sensors.start()
    bench.at(sum(phase.seconds for phase in script), sensors.stop)
    samples = [sample for frame in sensors.frames() for sample in frame.imu]
    sensors.close()
    roll, pitch = np.array([story.body.pose(sample.t_ns)[3:5] for sample in samples]).T
    true_up = np.stack([-np.sin(pitch), np.cos(pitch) * np.sin(roll), np.cos(pitch) * np.cos(roll)], axis=1)
    return Course(samples, true_up)


def ours(config: Config, samples: list[ImuSample]) -> tuple[int, Floats]:
    """Nanoseconds, and the verticals: (n, 3)."""
    attitude = Attitude(config)
    began = time.perf_counter_ns()
    poses = [attitude.step(sample) for sample in samples]
    return time.perf_counter_ns() - began, np.array([pose.box_up for pose in poses])


def by_imufusion(samples: list[ImuSample]) -> tuple[int, Floats]:
    """imufusion's AHRS, degrees/s and g."""
    rates = [np.degrees(sample.gyro) for sample in samples]
    forces = [np.array(sample.accel) / G for sample in samples]
    settings = imufusion.AhrsSettings()
    settings.sample_rate = RATE_HZ
    filter_ = imufusion.Ahrs().set_settings(settings)
    began = time.perf_counter_ns()
    ups = []
    for rate, force in zip(rates, forces, strict=True):
        filter_.update_no_magnetometer(rate, force)
        ups.append(filter_.get_gravity())
    return time.perf_counter_ns() - began, np.array(ups)


def by_ahrs(kind: type[Any]) -> Callable[[list[ImuSample]], tuple[int, Floats]]:
    """One of ahrs' filters, rad/s and m/s²."""

    def go(samples: list[ImuSample]) -> tuple[int, Floats]:
        rates = [np.array(sample.gyro) for sample in samples]
        forces = [np.array(sample.accel) for sample in samples]
        filter_ = kind(frequency=RATE_HZ)
        q = ahrs.Quaternion(ahrs.common.orientation.acc2q(forces[0])).to_array()  # as its own constructor begins
        began = time.perf_counter_ns()
        turned = []
        for rate, force in zip(rates, forces, strict=True):
            q = filter_.updateIMU(q, gyr=rate, acc=force)
            turned.append(q)
        took = time.perf_counter_ns() - began
        w, x, y, z = np.array(turned).T
        return took, np.stack([2 * (x * z - w * y), 2 * (w * x + y * z), 1 - 2 * (x * x + y * y)], axis=1)

    return go


def off_deg(ups: Floats, course_: Course) -> Floats:
    """Angle to the true vertical, where the first WARM_S are over."""
    late = np.array([sample.t_ns for sample in course_.samples]) > WARM_S * 1e9
    size = np.linalg.norm(ups, axis=1)
    cosine = np.clip((ups * course_.true_up).sum(axis=1) / size, -1.0, 1.0)
    return np.degrees(np.arccos(cosine[late]))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    config = load(local=None)
    courses = {name: course(config, script) for name, script in COURSES.items()}
    filters: dict[str, Callable[[list[ImuSample]], tuple[int, Floats]]] = {
        "ours": lambda samples: ours(config, samples),
        "imufusion": by_imufusion,
        "ahrs Madgwick": by_ahrs(ahrs.filters.Madgwick),
        "ahrs Mahony": by_ahrs(ahrs.filters.Mahony),
    }
    walk = courses["walking"]
    spent_us: dict[str, list[float]] = {name: [] for name in filters}
    for _ in range(rounds):
        for name, filter_ in filters.items():
            spent_us[name].append(filter_(walk.samples)[0] / len(walk.samples) / 1000)
    mine_us = statistics.median(spent_us["ours"])
    peers = ", ".join(f"{name} {version(name)}" for name in ("imufusion", "ahrs"))
    print(f"one attitude step, {len(walk.samples)} samples, {rounds} rounds; {peers}")
    print(f"{'':16}{'us':>8}{'least':>8}{'ratio':>8}" + "".join(f"{name + ': rms':>16}{'p99':>7}" for name in courses))
    for name, filter_ in filters.items():
        row = (
            f"{name:16}{statistics.median(spent_us[name]):8.2f}{min(spent_us[name]):8.2f}{mine_us / statistics.median(spent_us[name]):8.2f}"
        )
        for one in courses.values():
            off = off_deg(filter_(one.samples)[1], one)
            row += f"{math.sqrt(float((off * off).mean())):16.2f}{float(np.percentile(off, 99)):7.2f}"
        print(row)
    print("ratio: ours over it; angles in degrees")
    return 0


if __name__ == "__main__":
    sys.exit(main())
