"""A simulated I2C bus with smbus2's signatures and errors, chips to attach to it, and faults to inject.

How it works. A device is attached at an address and asked for registers; what no device answers is a NACK (OSError 121), as on the
Pi's i2c-bcm2835. The rules of that adapter hold: block reads of at most 32 bytes (smbus2's ValueError), and in a combined transfer
one read message only, and last (OSError 95). Time comes from the clock; with `baud` set each transfer takes its 9 bits a byte, and one
that takes longer than the adapter's time-out ends in OSError 110 like on the real one. Injected faults stand until their time is over.
"""

import ctypes
import errno
import os
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from guardian.hardware import Clock, I2cFunc, i2c_msg

BLOCK_MAX = 32  # I2C_SMBUS_BLOCK_MAX of linux/i2c.h
READ_FLAG = 0x0001  # I2C_M_RD of linux/i2c.h
FULL = I2cFunc.I2C | I2cFunc.SMBUS_EMUL  # what i2c-bcm2835 offers
FOREVER = 1 << 62


class Device(Protocol):
    """A chip on the bus: its registers, at a time of the simulated clock."""

    def read(self, register: int, n: int, t_ns: int) -> bytes: ...
    def write(self, register: int, data: bytes, t_ns: int) -> None: ...


@runtime_checkable
class Powered(Protocol):
    """A chip that cares when its supply comes on: attaching it plugs it in, with all registers at their reset values."""

    def power_on(self, t_ns: int) -> None: ...


@dataclass
class BusFault:
    """One injected fault. `address` None: the whole bus. `times`: transfers that it still spoils."""

    until_ns: int
    address: int | None = None
    errno: int | None = None  # this OSError
    waits: bool = False  # ... after the adapter's time-out
    keep: int | None = None  # reads bring only this many bytes
    flip: int = 0  # this mask over the last byte read
    times: int = FOREVER


class SimBus:
    """smbus2.SMBus as far as drivers use it, over simulated devices.

    `funcs` may be set to lack I2cFunc.I2C. `timeout_ns` is the adapter's time-out; `baud` None: transfers take no time.
    """

    def __init__(self, clock: Clock, timeout_ns: int = 50_000_000, baud: int | None = None) -> None:
        self.funcs = FULL
        self.timeout_ns = timeout_ns
        self.baud = baud
        self.transfers = 0  # so far, failed ones included
        self._clock = clock
        self._devices: dict[int, Device] = {}
        self._pointers: dict[int, int] = {}
        self._faults: list[BusFault] = []

    # What plugs in and what goes wrong

    def attach(self, address: int, device: Device) -> None:
        """Plug a device in; it is powered from now. Raises ValueError for an address that is taken."""
        if address in self._devices:
            raise ValueError(f"two devices at 0x{address:02X}: {self._devices[address]!r} is there already")
        if isinstance(device, Powered):
            device.power_on(self._clock.now_ns())
        self._devices[address] = device
        self._pointers[address] = 0

    def detach(self, address: int) -> Device:
        """Pull a device off the bus; returns it. Raises KeyError where there is none."""
        return self._devices.pop(address)

    def fail(self, code: int, until_ns: int = FOREVER, address: int | None = None, times: int = FOREVER) -> None:
        """Every transfer (with `address`: to it; with `times`: so many) ends in OSError `code`."""
        self._faults.append(BusFault(until_ns, address, errno=code, times=times))

    def hang(self, until_ns: int = FOREVER) -> None:
        """SDA or SCL is held low: every transfer ends in OSError 110 after the adapter's time-out."""
        self._faults.append(BusFault(until_ns, errno=errno.ETIMEDOUT, waits=True))

    def short(self, keep: int, until_ns: int = FOREVER, address: int | None = None) -> None:
        """Reads bring `keep` bytes only: a list too short, or a message whose rest stays zero."""
        self._faults.append(BusFault(until_ns, address, keep=keep))

    def flip(self, mask: int, until_ns: int = FOREVER, address: int | None = None) -> None:
        """Noise on SDA: these bits of the last byte of each read are inverted."""
        self._faults.append(BusFault(until_ns, address, flip=mask))

    def heal(self) -> None:
        """End all injected faults."""
        self._faults.clear()

    # smbus2

    def read_byte_data(self, i2c_addr: int, register: int, force: bool | None = None) -> int:
        """One register. Raises OSError, as all below."""
        return int.from_bytes(self._read(i2c_addr, register, 1), "big")  # a byte that did not come reads 0

    def write_byte_data(self, i2c_addr: int, register: int, value: int, force: bool | None = None) -> None:
        """Write one register."""
        self._write(i2c_addr, bytes((register, value & 0xFF)))

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int, force: bool | None = None) -> list[int]:
        """At most 32 registers: ValueError above."""
        if length > BLOCK_MAX:
            raise ValueError(f"Desired block length over {BLOCK_MAX} bytes")
        return list(self._read(i2c_addr, register, length))

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: list[int], force: bool | None = None) -> None:
        """At most 32 registers: ValueError above."""
        if len(data) > BLOCK_MAX:
            raise ValueError(f"Data length cannot exceed {BLOCK_MAX} bytes")
        self._write(i2c_addr, bytes((register, *data)))

    def i2c_rdwr(self, *i2c_msgs: i2c_msg) -> None:
        """A combined transfer of smbus2's own messages. OSError 95 unless there is at most one read message and it is last."""
        if not self.funcs & I2cFunc.I2C:
            raise _error(errno.EOPNOTSUPP)
        if any(message.flags & READ_FLAG for message in i2c_msgs[:-1]):
            raise _error(errno.EOPNOTSUPP)
        for message in i2c_msgs:
            address: int = message.addr
            if message.flags & READ_FLAG:
                data = self._read(address, None, message.len)
                ctypes.memmove(message.buf, data, len(data))
            else:
                self._write(address, bytes(message))

    def close(self) -> None:
        """Nothing to release."""

    # Inside

    def _read(self, address: int, register: int | None, n: int) -> bytes:
        fault = self._transfer(address, n + 3)
        device = self._device(address)
        data = device.read(self._pointers[address] if register is None else register, n, self._clock.now_ns())
        if fault is not None:
            data = data[: fault.keep]
            if fault.flip and data:
                data = data[:-1] + bytes((data[-1] ^ fault.flip,))
        return data

    def _write(self, address: int, data: bytes) -> None:
        self._transfer(address, len(data) + 1)
        device = self._device(address)
        if not data:
            return
        self._pointers[address] = data[0]
        if len(data) > 1:
            device.write(data[0], data[1:], self._clock.now_ns())

    def _device(self, address: int) -> Device:
        device = self._devices.get(address)
        if device is None:
            raise _error(errno.EREMOTEIO)
        return device

    def _transfer(self, address: int, n_bytes: int) -> BusFault | None:
        """Let the transfer's time pass and raise what stands in its way; returns a fault that spoils data only."""
        self.transfers += 1
        if self.baud is not None:
            takes_ns = n_bytes * 9 * 1_000_000_000 // self.baud
            self._pass(min(takes_ns, self.timeout_ns))
            if takes_ns > self.timeout_ns:
                raise _error(errno.ETIMEDOUT)
        if not self._faults:
            return None
        now_ns = self._clock.now_ns()
        self._faults = [fault for fault in self._faults if fault.until_ns > now_ns and fault.times > 0]
        for fault in self._faults:
            if fault.address in (None, address):
                fault.times -= 1
                if fault.waits:
                    self._pass(self.timeout_ns)
                if fault.errno is not None:
                    raise _error(fault.errno)
                return fault
        return None

    def _pass(self, duration_ns: int) -> None:
        self._clock.wait_until(self._clock.now_ns() + duration_ns)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
