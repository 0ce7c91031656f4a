"""Two battery gauges as register maps for the simulated bus, from their datasheets (never from the driver).

Both have 16-bit registers, most significant byte first, whose address does not advance beyond the register's two bytes here.
"""

from struct import pack, unpack

MAX17048_POWER_ON = {
    0x06: 0x0000,  # MODE
    0x08: 0x0012,  # VERSION
    0x0A: 0x8030,  # HIBRT
    0x0C: 0x971C,  # CONFIG
    0x14: 0x00FF,  # VALRT
    0x16: 0x0000,  # CRATE
    0x18: 0x960C,  # VRESET/ID
    0x1A: 0x0100,  # STATUS: reset indicator set
    0xFE: 0xFFFF,  # CMD
}
MAX17048_WRITABLE = frozenset({0x06, 0x0A, 0x0C, 0x14, 0x18, 0x1A})
MAX17048_POR = 0x5400  # written to CMD: complete power-on reset


class Max17048:
    """MAX17048 fuel gauge (datasheet "I2C Register Map" and "Register Summary"). Set `charge` (0..1) and `cell_v` as the story goes."""

    def __init__(self, charge: float = 0.8, cell_v: float = 3.9) -> None:
        self.charge = charge
        self.cell_v = cell_v
        self._words = dict(MAX17048_POWER_ON)

    def read(self, register: int, n: int, t_ns: int) -> bytes:
        """Bytes from `register` on. VCELL is 78.125 µV and SOC 1/256 % per bit; SOC of a fresh cell may exceed 100 %."""
        words = {**self._words, 0x02: int(self.cell_v / 78.125e-6), 0x04: int(self.charge * 25600)}
        return b"".join(pack(">H", max(0, min(0xFFFF, words.get(at, 0)))) for at in range(register, register + n + 1, 2))[:n]

    def write(self, register: int, data: bytes, t_ns: int) -> None:
        """A 16-bit register; CMD 0x5400 is the power-on reset; anything else unwritable is ignored."""
        if len(data) != 2:
            return
        (word,) = unpack(">H", data)
        if register == 0xFE and word == MAX17048_POR:
            self._words = dict(MAX17048_POWER_ON)
        elif register in MAX17048_WRITABLE:
            self._words[register] = word


class Ina219:
    """INA219 current and bus voltage monitor (SBOS448 "Register Maps"). Set `cell_v` as the story goes."""

    POWER_ON = 0x399F  # 32 V, gain 1/8, 12 bits, shunt and bus continuous
    RESET_BIT = 0x8000  # self-clearing
    CONVERSION_READY = 0x2

    def __init__(self, cell_v: float = 3.9) -> None:
        self.cell_v = cell_v
        self._config = self.POWER_ON
        self._calibration = 0
        self._held = 0  # the last conversion: what a part in power-down goes on showing

    def read(self, register: int, n: int, t_ns: int) -> bytes:
        """Two bytes of CONFIG, SHUNT, BUS (bits 15..3 at 4 mV, bit 1 conversion ready), POWER, CURRENT, CALIBRATION; then 0xFF."""
        word = {0x00: self._config, 0x02: self._bus(), 0x05: self._calibration}.get(register, 0)
        return (pack(">H", word) + b"\xff" * n)[:n]

    def write(self, register: int, data: bytes, t_ns: int) -> None:
        """CONFIG and CALIBRATION are writable, 16 bits at once; CALIBRATION's bit 0 stays 0."""
        if len(data) != 2:
            return
        (word,) = unpack(">H", data)
        if register == 0x00:
            self._config = self.POWER_ON if word & self.RESET_BIT else word
            self._calibration = 0 if word & self.RESET_BIT else self._calibration
        elif register == 0x05:
            self._calibration = word & 0xFFFE

    def _bus(self) -> int:
        bus_is_measured = self._config & 0x7 in (2, 3, 6, 7)
        if bus_is_measured:
            full_scale_v = 32.0 if self._config & 0x2000 else 16.0
            self._held = int(max(0.0, min(full_scale_v, self.cell_v)) / 0.004) << 3 | self.CONVERSION_READY
        return self._held
