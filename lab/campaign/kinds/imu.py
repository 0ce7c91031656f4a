"""The IMU and its bus: how each kind of failure is drawn, done and undone."""

import errno
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Literal

from guardian.config import Config
from lab import acts
from lab.campaign.failure import CANCELLED_S, IMU, LSM, MPU, Deed, Failure, Kind, blind, parts
from lab.campaign.kinds.program import stall
from lab.faults import first_still, imu_silent

if TYPE_CHECKING:
    from lab.campaign.walk import Walk

ERRNOS = (
    errno.EREMOTEIO, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.ENXIO, errno.ENODEV, errno.EPROTO, errno.EINVAL,
    errno.EOPNOTSUPP, errno.ENOMEM, errno.EOVERFLOW, errno.EBADF, errno.EPERM,
)  # fmt: skip


def _cable(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(0.3, 5)
    return Failure(
        "cable off", lasts_s, lambda w: w.bench.unplug_imu(), lambda w: w.bench.plug_imu(), blind(IMU, lasts_s, imu_silent(config))
    )


def _flicker(luck: Random, config: Config) -> Failure:
    def flicker(walk: "Walk") -> None:
        walk.bench.unplug_imu()
        walk.bench.plug_imu()

    return Failure("its supply is gone for a moment: all registers at reset", 0.0, flicker)


def _bus_error(luck: Random, config: Config) -> Failure:
    code, lasts_s = luck.choice(ERRNOS), luck.uniform(0.05, 5)
    due = blind(IMU, lasts_s, imu_silent(config))
    return Failure(f"every transfer ends in {errno.errorcode[code]}", lasts_s, lambda w: w.bench.bus_error(code, lasts_s), dues=due)


def _single_errors(luck: Random, config: Config) -> Failure:
    code, lasts_s, every_s, times = luck.choice(ERRNOS), luck.uniform(2, 6), luck.uniform(0.15, 0.4), luck.randint(1, 3)

    def spoil(walk: "Walk", left: int) -> None:
        walk.bench.bus.fail(code, walk.ns_from_now(every_s / 2), times=times)  # transfers of then: with none, nothing waits for later ones
        if left:
            walk.later(every_s, partial(spoil, walk, left - 1))

    done = f"{times} transfers in a row end in {errno.errorcode[code]}, each {every_s:.2f} s"
    return Failure(done, lasts_s, lambda w: spoil(w, int(lasts_s / every_s)))


def _hung(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(0.3, 4)
    return Failure("SDA held low", lasts_s, lambda w: w.bench.bus_hang(lasts_s), dues=blind(IMU, lasts_s, imu_silent(config)))


def _short_reads(luck: Random, config: Config) -> Failure:
    lasts_s, keep = luck.uniform(0.3, 3), luck.randint(0, 2)

    def begin(walk: "Walk") -> None:
        walk.bench.bus.short(keep, walk.ns_from_now(lasts_s))

    # two bytes are a whole count, and of an MPU's sample the first axis: the others stand still
    met_s = config.health.stuck_s if keep == 2 and config.imu.chip == MPU else imu_silent(config)
    return Failure(f"reads bring {keep} bytes", lasts_s, begin, dues=blind(IMU, lasts_s, met_s), back_s=CANCELLED_S)


def _noise(luck: Random, config: Config) -> Failure:
    lasts_s, mask = luck.uniform(0.5, 4), 1 << luck.randrange(8)

    def begin(walk: "Walk") -> None:
        walk.bench.bus.flip(mask, walk.ns_from_now(lasts_s))

    # the registers are read back each verify_s, and are not what was written; then nothing is read until they are
    due = blind(IMU, lasts_s, config.imu.verify_s + imu_silent(config))
    return Failure(f"bit {mask:#04x} of each read's last byte flips", lasts_s, begin, dues=due, back_s=CANCELLED_S)


def _spoilt(what: Literal["flipped", "doubled", "missing"], low: float, high: float, words: str) -> Callable[[Random, Config], Failure]:
    def draw(luck: Random, config: Config) -> Failure:
        share, lasts_s = luck.uniform(low, high), luck.uniform(1, 8)
        return Failure(
            f"{share:.1%} of samples {words}",
            lasts_s,
            lambda w: setattr(w.chip.flaws, what, share),
            lambda w: w.chip.flaws.heal(),
            back_s=CANCELLED_S,
        )

    return draw


def _stuck(luck: Random, config: Config) -> Failure:
    axis, lasts_s = luck.randrange(6), luck.uniform(1.2, 5)
    due = blind(IMU, lasts_s, config.health.stuck_s)
    return Failure(f"{_axis(axis)} frozen", lasts_s, lambda w: w.bench.imu_stuck(axis), lambda w: w.bench.imu_heals(), due, CANCELLED_S)


def _frozen(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1.2, 5)
    due = blind(IMU, lasts_s, config.health.stuck_s)
    begin: Deed = lambda w: w.chip.stick(range(6), w.bench.clock.now_ns())  # noqa: E731
    return Failure("no output changes", lasts_s, begin, lambda w: w.bench.imu_heals(), due, CANCELLED_S)


def _full_scale(luck: Random, config: Config) -> Failure:
    axes = luck.choice(((0, 1, 2), (3, 4, 5), (luck.randrange(3),), (3 + luck.randrange(3),)))
    lasts_s = luck.choice((luck.uniform(0.02, 0.4), luck.uniform(0.6, 3)))
    due = blind(IMU, lasts_s, config.health.saturated_s)
    done = f"{', '.join(_axis(axis) for axis in axes)} at full scale"
    return Failure(done, lasts_s, lambda w: w.bench.imu_full_scale(*axes), lambda w: w.bench.imu_heals(), due, CANCELLED_S)


def _axis(axis: int) -> str:
    return f"{'accelerometer' if axis < 3 else 'gyroscope'} {'xyz'[axis % 3]}"


def _other_board(luck: Random, config: Config) -> Failure:
    lasts_s = first_still(config) + luck.uniform(2, 5)
    due = blind(IMU, lasts_s, first_still(config))
    return Failure("an LSM6DSO32 in place of the LSM6DSOX", lasts_s, acts.wrong_board, lambda w: w.right_board(), due)


def _turning_gyro(luck: Random, config: Config) -> Failure:
    lasts_s = first_still(config) + luck.uniform(2, 5)
    due = blind(IMU, lasts_s, first_still(config))
    return Failure("a clone whose gyroscope turns at rest", lasts_s, acts.worn_gyro, lambda w: w.right_board(), due)


# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind("IMU: cable off", parts("imu"), _cable),
    Kind("IMU: supply flickers", parts("imu"), _flicker),
    Kind("bus: errors", parts("bus"), _bus_error),
    Kind("bus: single errors", parts("bus"), _single_errors),
    Kind("bus: hung", parts("bus"), _hung),
    Kind("bus: short reads", parts("bus"), _short_reads),
    Kind("bus: noise", parts("bus"), _noise),
    Kind("samples: bits flip", parts("imu"), _spoilt("flipped", 0.005, 0.1, "have a bit flipped")),
    Kind("samples: doubled", parts("imu"), _spoilt("doubled", 0.02, 0.5, "come twice")),
    Kind("samples: missing", parts("imu"), _spoilt("missing", 0.02, 0.5, "are missing")),
    Kind("IMU: an axis stuck", parts("imu"), _stuck, after_a_fall=False),
    Kind("IMU: all axes stuck", parts("imu"), _frozen),
    Kind("IMU: full scale", parts("imu"), _full_scale, after_a_fall=False),
    Kind("IMU: FIFO overflow", parts("loop"), stall(0.75, 1.3), chip=MPU),
    Kind("IMU: another board", parts("imu"), _other_board, chip=LSM, at_power_on=True),
    Kind("IMU: gyroscope turns", parts("imu"), _turning_gyro, chip=MPU, at_power_on=True),
)
# fmt: on
