"""The MPU-6050 family's register maps behave as their documents say."""

import math
from struct import unpack

import numpy as np
import pytest

from guardian.sim.inertial import Specimen
from guardian.sim.mpu6050 import MpuChip
from tests.imu_rig import MS, PERFECT, SECOND, G, World, spinning, still

FIFO_ON = {"r6A": 0x40, "r23": 0x78}


def put(chip: MpuChip, t_ns: int, **registers: int) -> None:
    """Write registers given as r10=0x44."""
    for name, value in registers.items():
        chip.write(int(name[1:], 16), bytes([value]), t_ns)


def get(chip: MpuChip, register: int, t_ns: int) -> int:
    return chip.read(register, 1, t_ns)[0]


def outputs(chip: MpuChip, t_ns: int) -> tuple[int, ...]:
    """Accelerometer, temperature and gyroscope counts."""
    return unpack(">7h", chip.read(0x3B, 14, t_ns))


def awake(world: World | None = None, who: int = 0x68, specimen: Specimen = PERFECT, **registers: int) -> MpuChip:
    """A chip at 100 Hz, DLPF 3, ±16 g and ±2000 °/s, and other registers as given."""
    chip = MpuChip(world or still(), who, specimen=specimen)
    put(chip, 0, **{"r6B": 0x01, "r1A": 0x03, "r19": 9, "r1B": 0x18, "r1C": 0x18, **({} if who == 0x68 else {"r1D": 0x03}), **registers})
    return chip


def count(chip: MpuChip, t_ns: int) -> int:
    return int.from_bytes(chip.read(0x72, 2, t_ns), "big")


def test_the_6050_powers_up_asleep() -> None:
    chip = MpuChip(still(), specimen=PERFECT)
    assert get(chip, 0x6B, 0) == 0x40
    assert get(chip, 0x75, 0) == 0x68
    put(chip, 0, r1C=0x18, r38=0x01, **FIFO_ON)
    assert outputs(chip, SECOND) == (0,) * 7
    assert get(chip, 0x3A, SECOND) == 0
    assert count(chip, SECOND) == 0
    put(chip, SECOND, r6B=0x01, r1A=0x03, r19=9)
    assert outputs(chip, 2 * SECOND)[2] == 2048
    assert count(chip, 2 * SECOND) == pytest.approx(1000, abs=24)


def test_sleep_stops_the_samples() -> None:
    chip = awake(spinning(), **FIFO_ON)
    put(chip, SECOND // 2, r6B=0x41)
    held = count(chip, SECOND // 2)
    assert count(chip, SECOND) == held
    assert outputs(chip, SECOND) == outputs(chip, 2 * SECOND)


def test_reset_takes_time_and_clears_itself() -> None:
    chip = awake()
    put(chip, SECOND, r6B=0x80)
    assert get(chip, 0x6B, SECOND) & 0x80
    put(chip, SECOND + MS, r1C=0x18)
    assert get(chip, 0x6B, SECOND + 100 * MS) == 0x40
    assert get(chip, 0x1C, SECOND + 100 * MS) == 0, "what was written while resetting is lost"


@pytest.mark.parametrize(("code", "counts"), [(0, 16384), (1, 8192), (2, 4096), (3, 2048)])
def test_accelerometer_ranges(code: int, counts: int) -> None:
    assert outputs(awake(r1C=code << 3), SECOND)[2] == counts


@pytest.mark.parametrize(("code", "counts"), [(0, 131), (1, 65.5), (2, 32.8), (3, 16.4)])
def test_gyroscope_ranges(code: int, counts: float) -> None:
    assert outputs(awake(still(gx=math.radians(-200)), r1B=code << 3), SECOND)[4] == round(-200 * counts)


def test_beyond_full_scale_it_saturates() -> None:
    counts = outputs(awake(still(x=300, y=-300, gz=50)), SECOND)
    assert (counts[0], counts[1], counts[6]) == (32767, -32768, 32767)


def test_the_gyroscope_takes_time_to_start() -> None:
    chip = awake(still(gx=1.0))
    assert outputs(chip, 20 * MS)[4] == 0
    assert outputs(chip, 60 * MS)[4] == round(math.degrees(1) * 16.4)


@pytest.mark.parametrize(("who", "zero_c", "per_degree"), [(0x68, 36.53, 340), (0x70, 21, 333.87)])
def test_temperature(who: int, zero_c: float, per_degree: float) -> None:
    assert outputs(awake(who=who), SECOND)[3] == round((25 - zero_c) * per_degree)


def test_standby_silences_an_axis() -> None:
    assert outputs(awake(still(gx=1.0), r6C=0x0C), SECOND)[2:5:2] == (0, 0), "STBY_ZA and STBY_XG"


@pytest.mark.parametrize(("divider", "rate_hz"), [(9, 100), (19, 50), (4, 200)])
@pytest.mark.parametrize("rate_error", [-0.01, 0.0, 0.01])
def test_sample_rate(divider: int, rate_hz: float, rate_error: float) -> None:
    chip = awake(specimen=Specimen(noise=0.0, rate_error=rate_error), r19=divider, **FIFO_ON)
    total = 0
    for t_ns in range(200 * MS, 4 * SECOND + 1, 200 * MS):
        held = count(chip, t_ns)
        chip.read(0x74, held, t_ns)
        total += held
    assert total / 12 == pytest.approx(4 * rate_hz * (1 + rate_error), abs=2)


@pytest.mark.parametrize(
    ("who", "registers", "channel", "delay_ms"),
    [
        (0x68, {"r1A": 3}, 0, 4.9),
        (0x68, {"r1A": 3}, 6, 4.8),
        (0x68, {"r1A": 4}, 0, 8.5),
        (0x68, {"r1A": 2}, 6, 2.8),
        (0x70, {"r1A": 3}, 0, 4.88),
        (0x70, {"r1A": 3}, 6, 5.9),
        (0x70, {"r1A": 3, "r1D": 0}, 0, 1.88),
    ],
)
def test_the_low_pass_has_the_documented_delay(who: int, registers: dict[str, int], channel: int, delay_ms: float) -> None:
    """The last row is the trap: without its own register the 6500's accelerometer is hardly filtered."""
    slope, lsb = (100.0, G / 2048) if channel < 3 else (30.0, math.radians(1 / 16.4))
    chip = awake(World(lambda t: [slope * t * (channel == 0), 0, 0, 0, 0, slope * t * (channel == 6)]), who, **registers)
    t_s = 0.9
    assert (t_s - outputs(chip, round(t_s * 1e9) + 1000)[channel] * lsb / slope) * 1e3 == pytest.approx(delay_ms, abs=0.15)


@pytest.mark.parametrize(("who", "corner_hz"), [(0x68, 44), (0x70, 44.8)])
def test_the_low_pass_has_the_documented_bandwidth(who: int, corner_hz: float) -> None:
    chip = awake(World(lambda t: [50 * np.sin(2 * np.pi * corner_hz * t), 0, 0, 0, 0, 0]), who)
    seen = [outputs(chip, SECOND + k * 3_123_000)[0] * G / 2048 for k in range(3000)]
    assert math.sqrt(2 * float(np.mean(np.square(seen)))) / 50 == pytest.approx(math.sqrt(0.5), abs=0.02)


def test_fifo_frames_are_in_the_order_of_the_registers() -> None:
    chip = awake(still(x=1 * G, y=2 * G, z=3 * G, gx=1.0, gy=2.0, gz=3.0), **FIFO_ON)
    held = count(chip, 500 * MS)
    assert held % 12 == 0
    frames = unpack(f">{held // 2}h", chip.read(0x74, held, 500 * MS))
    rates = tuple(round(math.degrees(k) * 16.4) for k in (1, 2, 3))
    assert frames[-6:] == (2048, 4096, 6144, *rates)
    put(chip, 500 * MS, r23=0x88)
    chip.read(0x74, count(chip, 500 * MS), 500 * MS)
    frames = unpack(">4h", chip.read(0x74, 8, 510 * MS))
    assert frames == (2048, 4096, 6144, round((25 - 36.53) * 340)), "accelerometer, then temperature"


@pytest.mark.parametrize(("who", "registers", "size"), [(0x68, {}, 1024), (0x70, {}, 512), (0x98, {"r1D": 0xC3}, 4096), (0x98, {}, 512)])
def test_an_overflow_drops_the_oldest_bytes_and_loses_the_frame(who: int, registers: dict[str, int], size: int) -> None:
    chip = awake(still(x=1 * G, y=2 * G, z=3 * G), who, r38=0x11, **registers, **FIFO_ON)
    t_ns = size // 12 * 10 * MS + 2 * SECOND
    assert count(chip, t_ns) == size
    assert get(chip, 0x3A, t_ns) & 0x10
    assert not get(chip, 0x3A, t_ns) & 0x10, "cleared by reading it"
    first = unpack(">6h", chip.read(0x74, 12, t_ns))
    assert first != (2048, 4096, 6144, 0, 0, 0)
    assert sorted(first) == [0, 0, 0, 2048, 4096, 6144], "the same values, from the middle of a frame on"


def test_an_empty_fifo_repeats_its_last_byte() -> None:
    chip = awake(still(gz=math.radians(21.5 / 16.4)), **FIFO_ON)
    held = count(chip, 200 * MS)
    data = chip.read(0x74, held + 3, 200 * MS)
    assert data[-4:] == bytes([data[held - 1]]) * 4


def test_fifo_reset_works_only_while_it_is_disabled() -> None:
    chip = awake(**FIFO_ON)
    put(chip, 300 * MS, r6A=0x44)
    assert count(chip, 300 * MS) > 0
    put(chip, 300 * MS, r6A=0x04)
    assert get(chip, 0x6A, 300 * MS) == 0, "it clears itself"
    assert count(chip, 400 * MS) == 0
    put(chip, 400 * MS, r6A=0x40)
    assert count(chip, 500 * MS) == 120


def test_data_ready_until_the_status_is_read() -> None:
    chip = awake(r38=0x01)
    assert get(chip, 0x3A, SECOND) == 1
    assert get(chip, 0x3A, SECOND + MS) == 0
    assert get(chip, 0x3A, SECOND + 10 * MS) == 1
    outputs(chip, SECOND + 20 * MS)
    assert get(chip, 0x3A, SECOND + 20 * MS) == 1, "reading the outputs does not clear it ..."
    put(chip, SECOND + 20 * MS, r37=0x10)
    outputs(chip, SECOND + 30 * MS)
    assert get(chip, 0x3A, SECOND + 30 * MS) == 0, "... unless INT_RD_CLEAR says so"


@pytest.mark.parametrize("ahead_ns", [0, 3 * MS, 130 * MS])
def test_how_far_the_world_is_known_ahead_makes_no_difference(ahead_ns: int) -> None:
    far, near = spinning(), spinning()
    near._ahead_ns = ahead_ns  # this world fails when it is asked beyond its horizon, or twice
    chips = [awake(world, **FIFO_ON) for world in (far, near)]
    for k in range(1, 60):
        t_ns = k * 17 * MS
        a, b = (chip.read(0x74, count(chip, t_ns), t_ns) for chip in chips)
        assert a == b
        if k == 30:
            for chip in chips:
                put(chip, t_ns, r1C=0x10)


def test_a_power_cycle_puts_it_back_to_sleep() -> None:
    chip = awake(spinning(), **FIFO_ON)
    count(chip, SECOND)
    chip.power_on(3 * SECOND)
    assert get(chip, 0x6B, 3 * SECOND) == 0x40
    assert count(chip, 4 * SECOND) == 0


def test_noise_has_the_data_sheets_density() -> None:
    chip = awake(specimen=Specimen(), **FIFO_ON)
    data = b""
    for t_ns in range(200 * MS, 30 * SECOND, 200 * MS):
        data += chip.read(0x74, count(chip, t_ns), t_ns)
    frames = np.frombuffer(data, dtype=">i2").reshape(-1, 6)[20:]
    assert frames[:, :3].std(axis=0) / 2048 == pytest.approx(400e-6 * math.sqrt(44 * 1.11), rel=0.1)
    assert frames[:, 3:].std(axis=0) / 16.4 == pytest.approx(math.sqrt(0.005**2 * 42 * 1.11 + 1 / 16.4**2 / 12), rel=0.2)
