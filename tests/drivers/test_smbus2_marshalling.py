"""The drivers through the real smbus2: its ctypes structures reach a simulated adapter by `ioctl`, as they would reach the kernel."""

import errno
from collections.abc import Iterator
from typing import Any

import pytest
import smbus2
from smbus2.smbus2 import I2C_FUNCS, I2C_RDWR, I2C_SLAVE, I2C_SMBUS, I2C_SMBUS_BYTE_DATA, I2C_SMBUS_I2C_BLOCK_DATA, I2C_SMBUS_READ

from guardian import config
from guardian.drivers.imu import Imu, Refusal
from guardian.hardware import I2cFunc, burst
from guardian.sim.bus import Device, SimBus
from guardian.sim.inertial import Specimen
from guardian.sim.lsm6dsox import LsmChip
from guardian.sim.mpu6050 import MpuChip
from tests.imu_rig import MS, G, HandClock, World, still


class Adapter:
    """The kernel's side of /dev/i2c-1: smbus2's requests, answered by a simulated bus."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.bus = SimBus(self.clock)
        self.slave = -1

    def ioctl(self, fd: int, request: int, argument: Any) -> int:
        if request == I2C_FUNCS:
            argument.value = int(self.bus.funcs)
        elif request == I2C_SLAVE:
            self.slave = argument
        elif request == I2C_RDWR:
            self.bus.i2c_rdwr(*(argument.msgs[i] for i in range(argument.nmsgs)))
        elif request == I2C_SMBUS and argument.size == I2C_SMBUS_BYTE_DATA:
            if argument.read_write == I2C_SMBUS_READ:
                argument.data.contents.byte = self.bus.read_byte_data(self.slave, argument.command)
            else:
                self.bus.write_byte_data(self.slave, argument.command, argument.data.contents.byte)
        elif request == I2C_SMBUS and argument.size == I2C_SMBUS_I2C_BLOCK_DATA and argument.read_write == I2C_SMBUS_READ:
            block = self.bus.read_i2c_block_data(self.slave, argument.command, argument.data.contents.byte)
            argument.data.contents.block[0] = len(block)
            argument.data.contents.block[1 : len(block) + 1] = block
        else:
            raise OSError(errno.ENOTTY, f"request 0x{request:X} is not one the drivers need")
        return 0


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Adapter:
    adapter = Adapter()
    monkeypatch.setattr("smbus2.smbus2.ioctl", adapter.ioctl)
    return adapter


@pytest.fixture
def bus(adapter: Adapter) -> Iterator[smbus2.SMBus]:
    with smbus2.SMBus("/dev/null") as bus:
        yield bus


def chip(name: str, world: World) -> tuple[Device, dict[str, Any]]:
    """A chip and the configuration for it."""
    if name == "lsm6dsox":
        return LsmChip(world, specimen=Specimen(noise=0.0)), {}
    return MpuChip(world, specimen=Specimen(noise=0.0)), {"chip": name, "address": 0x68}


@pytest.mark.parametrize("read", ["fifo", "direct"])
@pytest.mark.parametrize("name", ["lsm6dsox", "mpu6050"])
def test_a_driver_reads_true_values_through_the_real_smbus2(adapter: Adapter, bus: smbus2.SMBus, name: str, read: str) -> None:
    device, keys = chip(name, still(x=1.0, y=-2.0, z=9.0, gz=0.5))
    settings = config.load(local=None, overrides={"imu": {**keys, "read": read}})
    adapter.bus.attach(settings.imu.address, device)
    imu = Imu(bus, adapter.clock, settings)
    imu.start()
    samples = []
    for _ in range(100):
        adapter.clock.t_ns += 10 * MS
        new, faults = imu.read(adapter.clock.t_ns)
        assert not faults
        samples += new
    assert len(samples) >= 85
    assert samples[-1].accel == pytest.approx((1.0, -2.0, 9.0), abs=0.501 * G / 2048)
    assert samples[-1].gyro == pytest.approx((0.0, 0.0, 0.5), abs=0.0012)
    adapter.clock.t_ns += 500 * MS
    assert len(imu.read(adapter.clock.t_ns)[0]) >= (45 if read == "fifo" else 1), "a long burst too"


@pytest.mark.parametrize("name", ["lsm6dsox", "mpu6050"])
def test_errors_come_through_and_go(adapter: Adapter, bus: smbus2.SMBus, name: str) -> None:
    device, keys = chip(name, still())
    settings = config.load(local=None, overrides={"imu": keys})
    adapter.bus.attach(settings.imu.address, device)
    imu = Imu(bus, adapter.clock, settings)
    imu.start()
    adapter.clock.t_ns += 10 * MS
    adapter.bus.detach(settings.imu.address)
    assert [fault.name for fault in imu.read(adapter.clock.t_ns)[1]] == ["imu_silent"]
    adapter.bus.attach(settings.imu.address, device)
    for _ in range(100):
        adapter.clock.t_ns += 10 * MS
        samples, faults = imu.read(adapter.clock.t_ns)
    assert samples or not faults


def test_an_open_buss_funcs_is_a_plain_int_and_still_tells_raw_i2c(adapter: Adapter, bus: smbus2.SMBus) -> None:
    assert type(bus.funcs) is int
    adapter.bus.funcs = I2cFunc.SMBUS_EMUL
    with smbus2.SMBus("/dev/null") as plain, pytest.raises(Refusal, match=r"imu\.read"):
        Imu(plain, adapter.clock, config.load(local=None)).start()


def test_a_burst_is_one_transfer_whatever_its_length(adapter: Adapter, bus: smbus2.SMBus) -> None:
    class Counting:
        def read(self, register: int, n: int, t_ns: int) -> bytes:
            return bytes((register + i) & 0xFF for i in range(n))

        def write(self, register: int, data: bytes, t_ns: int) -> None:
            raise AssertionError("nothing is written")

    adapter.bus.attach(0x50, Counting())
    assert burst(bus, 0x50, 0x10, 504) == bytes((0x10 + i) & 0xFF for i in range(504))
    assert bus.read_i2c_block_data(0x50, 0x10, 32) == list(range(0x10, 0x30))
