"""guardian calibrate: how the belt sits today. Stand upright and still for five seconds; what is measured goes to the calibration file."""

import sys
from argparse import Namespace
from math import asin
from statistics import median

import msgspec

from guardian import hardware
from guardian.app import AlreadyRunning, bench_for_checks, calibration_of, locked, places, write_durably
from guardian.commands.check import DEGREES, G_M_S2, mean, norm, samples_for
from guardian.commands.options import config_of, console, is_refusal
from guardian.config import Calibration, Config, ConfigError, Metres, cos_deg, ns
from guardian.drivers.hcsr04 import Hcsr04
from guardian.drivers.imu import Imu, Refusal
from guardian.frame import ImuSample, Vector
from guardian.hardware import Hardware

STAND_S = 5.0
SWAY_DEG = 2.0  # standing people sway about a degree: the first and the last second may differ by this
FLOOR_S = 2.0
HEIGHTS_M = (0.3, 1.6)  # bounds of ranger.height_m


class Moved(ValueError):
    """The wearer moved, or stands in no upright pose; the message says how much."""


def main(args: Namespace) -> int:
    """Measure and write; 1 when the wearer moved, 2 when the parts do not answer."""
    config = config_of(args)
    here = places(config)
    out = console()
    try:
        with locked(here):
            device = bench_for_checks(config) if args.bench else hardware.real(config)
            try:
                height_m = _height(config, device, args.height_m)
                out.print(f"stand upright and still for {STAND_S:.0f} seconds ...")
                calibration = standing(config, device, height_m)
            finally:
                device.close()
    except Moved as error:
        print(f"guardian: {error}; nothing was written: try again", file=sys.stderr)
        return 1
    except AlreadyRunning as error:
        print(f"guardian: {error}; stop it first: systemctl stop guardian", file=sys.stderr)
        return 2
    except Exception as error:
        if not is_refusal(error):
            raise
        print(f"guardian: {error}", file=sys.stderr)
        return 2
    here.make()
    write_durably(here.calibration, msgspec.json.format(msgspec.json.encode(calibration)) + b"\n")
    lean = DEGREES * _angle(calibration.up, (0.0, 0.0, 1.0))
    out.print(
        f"the belt sits {lean:.1f}° from nominal; gyro bias {norm(calibration.gyro_bias) * DEGREES:.2f} °/s; "
        f"ranger {calibration.height_m:.2f} m above the floor\nwritten to {here.calibration}",
        soft_wrap=True,
    )
    return 0


def standing(config: Config, device: Hardware, height_m: float) -> Calibration:
    """Vertical and gyro bias from standing still. Raises Moved, Refusal, OSError."""
    imu = Imu(device.bus, device.clock, config)
    imu.start()
    samples = samples_for(device, config, imu, STAND_S)
    if len(samples) < STAND_S * 50:
        raise Refusal(f"the IMU gave {len(samples)} samples in {STAND_S:.0f} s: run guardian check")
    return judged(config, samples, height_m)


def judged(config: Config, samples: list[ImuSample], height_m: float) -> Calibration:
    """What these samples of standing say. Raises Moved when they are no still, upright pose."""
    force, bias = mean([sample.accel for sample in samples]), mean([sample.gyro for sample in samples])
    g = norm(force) / G_M_S2
    turning = max(norm(_minus(sample.gyro, bias)) for sample in samples) * DEGREES
    shaking = max(abs(norm(sample.accel) / G_M_S2 - g) for sample in samples)
    second = max(1, int(len(samples) / STAND_S))
    swayed = DEGREES * _angle(mean([s.accel for s in samples[:second]]), mean([s.accel for s in samples[-second:]]))
    if turning > config.estimate.still_gyro_deg_s or shaking > config.estimate.still_accel_g or swayed > SWAY_DEG:
        raise Moved(f"you moved: turning up to {turning:.1f} °/s, shaking {shaking:.2f} g, swayed {swayed:.1f}°")
    if not config.imu.rest_g_min <= g <= config.imu.rest_g_max:
        raise Refusal(f"at rest the IMU reads {g:.2f} g, not 1 g: is imu.chip = {config.imu.chip!r} the chip you have?")
    if norm(bias) * DEGREES > config.imu.rest_gyro_deg_s:
        raise Refusal(f"at rest the gyro reads {norm(bias) * DEGREES:.1f} °/s: more than imu.rest_gyro_deg_s; replace the IMU")
    up = (force[0] / norm(force), force[1] / norm(force), force[2] / norm(force))
    if up[2] < cos_deg(config.estimate.align_max_deg):
        tilt = DEGREES * _angle(up, (0.0, 0.0, 1.0))
        raise Moved(f"vertical is {tilt:.0f}° from the box's nominal up: stand upright, or correct imu.forward, left, up")
    return Calibration(up=up, gyro_bias=bias, height_m=height_m)


def _height(config: Config, device: Hardware, asked: str | None) -> float:
    """As told, as measured against the floor, as calibrated before, or as configured."""
    if asked is None:
        before = calibration_of(places(config))
        return before.height_m if before else config.ranger.height_m
    try:
        height_m = _floor(config, device) if asked == "floor" else float(asked)
        msgspec.convert(height_m, Metres)
    except (ValueError, msgspec.ValidationError) as error:
        raise ConfigError(f"--height-m {asked}: {error}") from error
    if not HEIGHTS_M[0] <= height_m <= HEIGHTS_M[1]:
        raise ConfigError(f"--height-m: {height_m:.2f} m; a belt's ranger is between {HEIGHTS_M[0]} and {HEIGHTS_M[1]} m above the floor")
    return height_m


def _floor(config: Config, device: Hardware) -> float:
    """Median distance to the floor below. Raises ValueError when nothing is seen."""
    ranger = Hcsr04(device.pins, config.ranger, device.clock)
    distances: list[float] = []
    try:
        now_ns = device.clock.now_ns()
        end_ns = now_ns + ns(FLOOR_S)
        while now_ns < end_ns:
            echo, _ = ranger.read(now_ns)
            if echo is not None and echo.distance_m is not None:
                distances.append(echo.distance_m)
            device.clock.wait_until(now_ns + config.loop.tick_ms * 1_000_000)
            now_ns = device.clock.now_ns()
    finally:
        ranger.close()
    if len(distances) < FLOOR_S * 5:
        raise ValueError("the ranger sees no floor: hold it at belt height, pointing straight down at hard floor")
    return median(distances)


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _angle(a: Vector, b: Vector) -> float:
    """Between two vectors, rad, by the half-angle formula, which is exact for small angles too."""
    u, v = _unit(a), _unit(b)
    half = norm(_minus(u, v)) / 2.0
    return 2.0 * asin(min(1.0, half))


def _unit(a: Vector) -> Vector:
    length = norm(a) or 1.0
    return a[0] / length, a[1] / length, a[2] / length
