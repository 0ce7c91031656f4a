"""The LSM6DSOX's register map behaves as its data sheet says."""

import math
from itertools import pairwise
from struct import unpack
from typing import Any

import numpy as np
import pytest

from guardian.sim.inertial import Specimen
from guardian.sim.lsm6dsox import LsmChip
from tests.imu_rig import MS, PERFECT, SECOND, G, World, spinning, still

US = 1000


def put(chip: LsmChip, t_ns: int, **registers: int) -> None:
    """Write registers given as r10=0x44."""
    for name, value in registers.items():
        chip.write(int(name[1:], 16), bytes([value]), t_ns)


def get(chip: LsmChip, register: int, t_ns: int) -> int:
    return chip.read(register, 1, t_ns)[0]


def outputs(chip: LsmChip, t_ns: int) -> tuple[int, ...]:
    """Gyroscope and accelerometer counts."""
    return unpack("<6h", chip.read(0x22, 12, t_ns))


def running(world: World | None = None, t_ns: int = 0, specimen: Specimen = PERFECT, model: Any = "lsm6dsox", **registers: int) -> LsmChip:
    """A chip with both sensors at 104 Hz, ±16 g and ±2000 °/s, DRDY_MASK and gyroscope LPF1 on, and other registers as given."""
    chip = LsmChip(world or still(), model, specimen=specimen)
    chip.power_on(t_ns)
    put(chip, t_ns, **{"r13": 0x0A, "r10": 0x44, "r11": 0x4C, **registers})
    return chip


def fifo(chip: LsmChip, t_ns: int) -> list[tuple[int, int, bytes]]:
    """All words: (sensor, time slot, data)."""
    low, high = chip.read(0x3A, 2, t_ns)
    data = chip.read(0x78, ((high & 3) << 8 | low) * 7, t_ns)
    return [(data[i] >> 3, data[i] >> 1 & 3, data[i + 1 : i + 7]) for i in range(0, len(data), 7)]


BATCH = {"r09": 0x44, "r19": 0x20, "r0A": 0x46}


def test_registers_at_power_on() -> None:
    chip = LsmChip(still(), specimen=PERFECT)
    assert get(chip, 0x0F, 0) == 0x6C
    assert get(chip, 0x12, 0) == 0x04
    assert get(chip, 0x18, 0) == 0xE0
    assert all(get(chip, register, 0) == 0 for register in (0x07, 0x0A, 0x10, 0x11, 0x13, 0x19))


def test_read_only_registers_and_reserved_bits_ignore_writes() -> None:
    chip = LsmChip(still(), specimen=PERFECT)
    put(chip, 0, r0F=0x00, r3A=0xFF, r20=0xFF, r19=0xFF, r10=0x01)
    assert get(chip, 0x0F, 0) == 0x6C
    assert get(chip, 0x3A, 0) == 0
    assert get(chip, 0x20, 0) == 0
    assert get(chip, 0x19, 0) == 0x20
    assert get(chip, 0x10, 0) == 0


def test_it_powers_up_in_power_down() -> None:
    chip = LsmChip(still(), specimen=PERFECT)
    assert get(chip, 0x1E, SECOND) == 0, "no data ready"
    assert outputs(chip, SECOND) == (0,) * 6


def test_software_reset_clears_itself_and_all_settings() -> None:
    chip = running()
    put(chip, SECOND, r12=0x01)
    assert get(chip, 0x12, SECOND) & 1
    put(chip, SECOND + 20 * US, r10=0x44)
    assert get(chip, 0x12, SECOND + 50 * US) == 0x04
    assert get(chip, 0x10, SECOND + 50 * US) == 0, "a write while resetting is lost"


def test_without_address_increment_one_register_is_repeated() -> None:
    chip = running(r12=0x00)
    assert chip.read(0x0F, 3, 0) == b"\x6c\x6c\x6c"


@pytest.mark.parametrize(("code", "full_scale_g"), [(0, 2), (1, 16), (2, 4), (3, 8)])
def test_accelerometer_ranges(code: int, full_scale_g: int) -> None:
    counts = outputs(running(r10=0x40 | code << 2), SECOND)[5]
    assert counts == round(1 / (full_scale_g * 0.0305e-3)), "0.061 mg per count at ±2 g, and in proportion"


@pytest.mark.parametrize(("code", "lsb_g"), [(0, 0.122e-3), (1, 0.976e-3), (2, 0.244e-3), (3, 0.488e-3)])
def test_the_dso32_means_twice_as_much_by_every_code(code: int, lsb_g: float) -> None:
    assert outputs(running(model="lsm6dso32", r10=0x40 | code << 2), SECOND)[5] == round(1 / lsb_g)


@pytest.mark.parametrize(("bits", "lsb_dps"), [(0x0, 8.75e-3), (0x4, 17.5e-3), (0x8, 35e-3), (0xC, 70e-3), (0x2, 4.375e-3)])
def test_gyroscope_ranges(bits: int, lsb_dps: float) -> None:
    assert outputs(running(still(gy=math.radians(-100)), r11=0x40 | bits), SECOND)[1] == round(-100 / lsb_dps)


def test_beyond_full_scale_it_saturates() -> None:
    counts = outputs(running(still(x=300, y=-300, gz=50)), SECOND)
    assert counts[3:5] == (32767, -32768)
    assert counts[2] == 32767


def test_mounting_turns_body_axes_into_chip_axes() -> None:
    chip = LsmChip(still(x=1.0, y=2.0, z=9.0), mount=("-y", "+z", "-x"), specimen=PERFECT)  # forward is -y, left is +z, up is -x
    put(chip, 0, r10=0x44)
    lsb = 0.488e-3 * G
    assert outputs(chip, SECOND)[3:] == (round(-9 / lsb), round(-1 / lsb), round(2 / lsb))


@pytest.mark.parametrize("freq_fine", [-10, 0, 7])
def test_rate_and_time_stamps_come_from_one_trimmed_oscillator(freq_fine: int) -> None:
    chip = running(specimen=Specimen(noise=0.0, rate_error=0.0015 * freq_fine), **BATCH)
    assert unpack("b", chip.read(0x63, 1, 0))[0] == freq_fine
    fifo(chip, SECOND)
    words = fifo(chip, 2 * SECOND)
    assert abs(len(words) / 3 - 6667 / 64 * (1 + 0.0015 * freq_fine)) <= 1
    ticks = [unpack("<I", data[:4])[0] for tag, _, data in words if tag == 4]
    steps = np.diff(ticks)
    assert set(steps.tolist()) <= {383, 384}, "9.6 ms of 25 µs each, by its own clock"


def test_writing_aa_resets_the_time_stamp() -> None:
    chip = running(**BATCH)
    assert unpack("<I", chip.read(0x40, 4, SECOND))[0] == pytest.approx(40_000, abs=50)
    put(chip, SECOND, r42=0xAA)
    assert unpack("<I", chip.read(0x40, 4, SECOND + 10 * MS))[0] == pytest.approx(400, abs=50)


def test_fifo_words_are_tagged_counted_and_have_even_parity() -> None:
    chip = running(still(x=G, gz=1.0), **BATCH)
    fifo(chip, SECOND)
    low, high = chip.read(0x3A, 2, 2 * SECOND)
    data = chip.read(0x78, ((high & 3) << 8 | low) * 7, 2 * SECOND)
    assert all(byte.bit_count() % 2 == 0 for byte in data[::7])
    tags = [(byte >> 3, byte >> 1 & 3) for byte in data[::7]]
    slots = [tags[i : i + 3] for i in range(0, len(tags), 3)]
    assert all({sensor for sensor, _ in slot} == {1, 2, 4} and len({count for _, count in slot}) == 1 for slot in slots)
    counts = [slot[0][1] for slot in slots]
    assert all((b - a) % 4 == 1 for a, b in pairwise(counts))
    accel = next(data[i + 1 : i + 7] for i in range(0, len(data), 7) if data[i] >> 3 == 2)
    assert unpack("<3h", accel) == (round(1 / 0.488e-3), 0, round(1 / 0.488e-3))


def test_fifo_holds_512_words_and_drops_the_oldest() -> None:
    chip = running(**BATCH)
    low, high = chip.read(0x3A, 2, SECOND)
    assert not high & 0x68
    low, high = chip.read(0x3A, 2, 3 * SECOND)
    assert (high & 3) << 8 | low == 512
    assert high & 0x68 == 0x68, "overrun, full, latched overrun"
    stamps = [unpack("<I", data[:4])[0] for tag, _, data in fifo(chip, 3 * SECOND) if tag == 4]
    assert stamps[-1] == pytest.approx(120_000, abs=500), "the newest is there"
    assert stamps[0] == pytest.approx(120_000 - 512 / 3 * 384, abs=500)
    low, high = chip.read(0x3A, 2, 3 * SECOND)
    assert (low, high) == (0, 0), "read out; reading the status unlatched the overrun"


def test_a_fifo_word_leaves_with_its_last_byte_and_an_empty_fifo_reads_zero() -> None:
    chip = running(**BATCH)
    low, _ = chip.read(0x3A, 2, 20 * MS)
    assert low == 6
    head = chip.read(0x78, 4, 20 * MS)
    assert chip.read(0x3A, 1, 20 * MS)[0] == 6
    assert chip.read(0x78, 7, 20 * MS)[:4] == head
    assert chip.read(0x3A, 1, 20 * MS)[0] == 5
    assert chip.read(0x78, 7 * 6, 20 * MS)[35:] == bytes(7)


def test_bypass_empties_the_fifo() -> None:
    chip = running(**BATCH)
    put(chip, SECOND, r0A=0x00)
    assert fifo(chip, SECOND) == []
    put(chip, SECOND, r0A=0x46)
    assert len(fifo(chip, SECOND + 100 * MS)) in (30, 33)


def test_a_sensor_batches_at_its_own_rate() -> None:
    chip = running(r09=0x42, r19=0x20, r0A=0x56)  # gyroscope 104 Hz, accelerometer 26 Hz, temperature at 1.6 Hz
    fifo(chip, SECOND)
    tags = [tag for tag, _, _ in fifo(chip, 2 * SECOND)]
    assert tags.count(1) == pytest.approx(104, abs=1)
    assert tags.count(2) == pytest.approx(26, abs=1)
    assert tags.count(3) in (1, 2)


def test_values_of_settling_filters_are_marked_when_masked() -> None:
    chip = running(still(gz=1.0), r09=0x44, r19=0x20, r0A=0x46)
    gyro = [unpack("<3h", data)[2] for tag, _, data in fifo(chip, 200 * MS) if tag == 1]
    early = [value for value in gyro if value >= 0x7FFD]
    assert 5 <= len(early) <= 8, "70 ms at 104 Hz"
    assert all(value == round(math.degrees(1) / 0.07) for value in gyro[len(early) :])


def test_data_ready_until_read() -> None:
    chip = running()
    assert get(chip, 0x1E, SECOND) & 3 == 3
    chip.read(0x22, 12, SECOND)
    assert get(chip, 0x1E, SECOND + MS) & 3 == 0
    assert get(chip, 0x1E, SECOND + 10 * MS) & 3 == 3


def delay_s(world_slope: float, channel: int, lsb: float, **registers: int) -> float:
    """How far the output lags behind a ramp (the filter's delay at low frequency)."""
    moves = [0.0] * 6
    slopes = [world_slope if i == channel else 0.0 for i in range(6)]
    chip = running(World(lambda t: [m + s * t for m, s in zip(moves, slopes, strict=True)]), **registers)
    slot_s = 64 / 6667
    t_s = math.ceil(1 / slot_s) * slot_s  # an instant of a sample
    counts = outputs(chip, round(t_s * 1e9) + 1000)[channel + 3 if channel < 3 else channel - 3]
    return t_s - counts * lsb / world_slope


def test_the_accelerometers_low_pass_delays_as_52_hz_do() -> None:
    assert delay_s(100.0, 0, 0.488e-3 * G) == pytest.approx(math.sqrt(2) / (2 * math.pi * 52), abs=1e-4)


def test_the_gyroscopes_lpf1_delays_as_33_hz_do() -> None:
    assert delay_s(30.0, 5, math.radians(0.07)) == pytest.approx(math.sqrt(2) / (2 * math.pi * 33), abs=1e-4)


def test_lpf2_is_slower() -> None:
    assert delay_s(100.0, 0, 0.488e-3 * G, r10=0x46) == pytest.approx(math.sqrt(2) / (2 * math.pi * 26), abs=1e-4)


@pytest.mark.parametrize("frequency_hz", [5, 40, 60, 200])
def test_the_low_pass_passes_what_it_should(frequency_hz: float) -> None:
    """-3 dB at 52 Hz, 12 dB an octave: 200 Hz, which would fold back into the band, is at 7 %."""
    chip = running(World(lambda t: [50 * np.sin(2 * np.pi * frequency_hz * t), 0, 0, 0, 0, 0]))
    seen = [outputs(chip, SECOND + k * 3_123_000)[3] * 0.488e-3 * G for k in range(3000)]
    assert math.sqrt(2 * float(np.mean(np.square(seen)))) / 50 == pytest.approx(1 / math.hypot(1, (frequency_hz / 52.1) ** 2), abs=0.02)


def test_noise_has_the_data_sheets_density() -> None:
    chip = running(specimen=Specimen(), **BATCH)
    words = [word for k in range(1, 30) for word in fifo(chip, k * SECOND)][60:]
    accel = np.array([unpack("<3h", data) for tag, _, data in words if tag == 2]) * 0.488e-3
    gyro = np.array([unpack("<3h", data) for tag, _, data in words if tag == 1]) * 0.07
    quantum = 1 / 12
    assert accel.std(axis=0) == pytest.approx(math.sqrt((110e-6**2) * 52 * 1.11 + 0.488e-3**2 * quantum), rel=0.1)
    assert gyro.std(axis=0) == pytest.approx(math.sqrt((3.8e-3**2) * 33 * 1.11 + 0.07**2 * quantum), rel=0.2)


def test_bias_and_temperature() -> None:
    world = still()
    world.temperature_c = 31.5
    chip = running(world, specimen=Specimen(accel_bias=(0.1, 0, 0), gyro_bias=(0, 0.01, 0), noise=0.0))
    assert unpack("<h", chip.read(0x20, 2, SECOND))[0] == 6.5 * 256
    gx, gy, _, ax, _, _ = outputs(chip, SECOND)
    assert (gx, gy, ax) == (0, round(math.degrees(0.01) / 0.07), round(0.1 / G / 0.488e-3))


@pytest.mark.parametrize("ahead_ns", [0, 3 * MS, 130 * MS])
def test_how_far_the_world_is_known_ahead_makes_no_difference(ahead_ns: int) -> None:
    far, near = spinning(), spinning()
    near._ahead_ns = ahead_ns  # this world fails when it is asked beyond its horizon, or twice
    chips = [running(world, **BATCH) for world in (far, near)]
    for k in range(1, 60):
        a, b = (fifo(chip, k * 17 * MS) for chip in chips)
        assert a == b
        if k == 30:
            for chip in chips:
                put(chip, k * 17 * MS, r10=0x48)  # another range, in the middle of what was computed ahead


def test_a_power_cycle_forgets_all_but_the_world_goes_on() -> None:
    world = spinning()
    chip = running(world, **BATCH)
    fifo(chip, SECOND)
    chip.power_on(5 * SECOND)
    assert get(chip, 0x10, 5 * SECOND) == 0
    assert fifo(chip, 6 * SECOND) == []
    put(chip, 6 * SECOND, r13=0x0A, r10=0x44, r11=0x4C, **BATCH)
    assert len(fifo(chip, 6 * SECOND + 100 * MS)) in (30, 33)


def test_what_it_does_not_simulate_it_refuses() -> None:
    with pytest.raises(ValueError, match="FIFO_CTRL4"):
        running(r0A=0x03)
    with pytest.raises(ValueError, match="CTRL1_XL"):
        running(r10=0xA4)
