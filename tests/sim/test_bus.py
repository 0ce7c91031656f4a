"""The simulated bus says no the way smbus2 and the Pi's adapter do."""

import errno

import pytest

from guardian.hardware import I2cFunc, burst, i2c_msg
from guardian.sim.bus import SimBus
from tests.imu_rig import MS, HandClock


class Registers:
    """Sixteen registers; counts its power-ons."""

    def __init__(self) -> None:
        self.values = bytearray(range(64))
        self.powered_at: list[int] = []

    def power_on(self, t_ns: int) -> None:
        self.powered_at.append(t_ns)

    def read(self, register: int, n: int, t_ns: int) -> bytes:
        return bytes(self.values[register : register + n])

    def write(self, register: int, data: bytes, t_ns: int) -> None:
        self.values[register : register + len(data)] = data


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def bus(clock: HandClock) -> SimBus:
    bus = SimBus(clock)
    bus.attach(0x6A, Registers())
    return bus


def test_what_is_written_is_read(bus: SimBus) -> None:
    bus.write_byte_data(0x6A, 3, 0x1FF)
    bus.write_i2c_block_data(0x6A, 8, [1, 2, 3])
    assert bus.read_byte_data(0x6A, 3) == 0xFF
    assert bus.read_i2c_block_data(0x6A, 7, 5) == [7, 1, 2, 3, 11]
    assert burst(bus, 0x6A, 20, 40) == bytes(range(20, 60)), "a combined transfer may be of any length"


def test_a_burst_that_comes_short_shows_nothing_of_the_one_before(bus: SimBus) -> None:
    assert burst(bus, 0x6A, 20, 8) == bytes(range(20, 28))
    bus.short(3)
    assert burst(bus, 0x6A, 20, 8) == bytes((20, 21, 22, 0, 0, 0, 0, 0))


def test_nobody_at_the_address_is_a_nack(bus: SimBus) -> None:
    for ask in (lambda: bus.read_byte_data(0x6B, 0), lambda: bus.write_byte_data(0x6B, 0, 0), lambda: burst(bus, 0x6B, 0, 4)):
        with pytest.raises(OSError) as nack:
            ask()
        assert nack.value.errno == errno.EREMOTEIO == 121


def test_blocks_are_32_bytes_at_most(bus: SimBus) -> None:
    assert len(bus.read_i2c_block_data(0x6A, 0, 32)) == 32
    with pytest.raises(ValueError, match="32"):
        bus.read_i2c_block_data(0x6A, 0, 33)
    with pytest.raises(ValueError, match="32"):
        bus.write_i2c_block_data(0x6A, 0, [0] * 33)


def test_one_read_a_transfer_and_last(bus: SimBus) -> None:
    point, count, data = i2c_msg.write(0x6A, [0]), i2c_msg.read(0x6A, 2), i2c_msg.read(0x6A, 4)
    with pytest.raises(OSError) as refused:
        bus.i2c_rdwr(point, count, data)
    assert refused.value.errno == errno.EOPNOTSUPP == 95
    with pytest.raises(OSError):
        bus.i2c_rdwr(count, point)


def test_an_adapter_may_have_no_raw_i2c(bus: SimBus) -> None:
    bus.funcs = I2cFunc.SMBUS_EMUL
    assert bus.read_byte_data(0x6A, 5) == 5
    with pytest.raises(OSError) as refused:
        burst(bus, 0x6A, 0, 4)
    assert refused.value.errno == errno.EOPNOTSUPP


def test_two_chips_at_one_address_are_refused(bus: SimBus) -> None:
    with pytest.raises(ValueError, match="0x6A"):
        bus.attach(0x6A, Registers())


def test_plugging_in_powers_on(bus: SimBus, clock: HandClock) -> None:
    chip = bus.detach(0x6A)
    assert isinstance(chip, Registers)
    with pytest.raises(OSError):
        bus.read_byte_data(0x6A, 0)
    clock.t_ns = 5 * MS
    bus.attach(0x6A, chip)
    assert bus.read_byte_data(0x6A, 1) == 1
    assert chip.powered_at == [0, 5 * MS]


def test_an_injected_error_ends_with_its_time(bus: SimBus, clock: HandClock) -> None:
    bus.attach(0x40, Registers())
    bus.fail(errno.EIO, until_ns=20 * MS, address=0x6A)
    with pytest.raises(OSError) as error:
        bus.read_byte_data(0x6A, 0)
    assert error.value.errno == 5
    assert bus.read_byte_data(0x40, 2) == 2, "the other chip answers"
    clock.t_ns = 20 * MS
    assert bus.read_byte_data(0x6A, 2) == 2


def test_a_hung_bus_costs_the_adapters_time_out_each_time(bus: SimBus, clock: HandClock) -> None:
    bus.hang()
    for n in (1, 2):
        with pytest.raises(OSError) as error:
            bus.read_byte_data(0x6A, 0)
        assert error.value.errno == errno.ETIMEDOUT == 110
        assert clock.t_ns == n * 50 * MS
    bus.heal()
    assert bus.read_byte_data(0x6A, 1) == 1


def test_a_short_read_brings_few_bytes_or_leaves_the_rest_zero(bus: SimBus) -> None:
    bus.short(keep=2)
    assert bus.read_i2c_block_data(0x6A, 4, 6) == [4, 5]
    assert burst(bus, 0x6A, 4, 6) == bytes([4, 5, 0, 0, 0, 0])


def test_noise_flips_bits(bus: SimBus) -> None:
    bus.flip(0x80)
    assert bus.read_i2c_block_data(0x6A, 4, 2) == [4, 0x85]


def test_transfers_take_their_time_and_too_long_ones_time_out(clock: HandClock) -> None:
    bus = SimBus(clock, baud=100_000)
    bus.attach(0x6A, Registers())
    bus.read_byte_data(0x6A, 0)
    assert clock.t_ns == 4 * 9 * 10_000, "address, register, address, data: nine bits each"
    with pytest.raises(OSError) as error:
        burst(bus, 0x6A, 0, 600)
    assert error.value.errno == errno.ETIMEDOUT
