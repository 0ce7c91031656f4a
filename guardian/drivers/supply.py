"""Power supply: the kernel's undervoltage flag, and charge from an optional fuel gauge on the I2C bus.

Theory of operation. Once per `supply.read_s` the flag's file is read, and the gauge if one is configured. Neither is needed for guarding,
so nothing here raises or refuses: what cannot be read is None ("unknown", and said so), and `trouble` says which wire or key to touch, for
`guardian check`. A gauge that fails is asked again with a wait doubled up to RETRY_LAST_NS: on a hung bus each question costs the loop the
adapter's time-out.
"""

from collections.abc import Callable
from glob import glob
from pathlib import Path

from guardian.config import SupplyConfig, ns
from guardian.frame import Supply
from guardian.hardware import Bus

RETRY_LAST_NS = 64_000_000_000  # battery charge changes over minutes: a minute's wait loses nothing

# MAX17048/MAX17049 datasheet, "I2C Register Map": 16-bit registers, most significant byte first.
MAX17048_SOC = 0x04  # 1/256 % per bit
MAX17048_VERSION = 0x08  # 0x001_: the production version
# INA219 datasheet (SBOS448), "Register Maps": 16-bit registers, most significant byte first.
INA219_CONFIG = 0x00  # 0x399F after power-on; bits 2..0 mode: 6 and 7 measure the bus voltage continuously
INA219_BUS = 0x02  # bits 15..3: 4 mV per bit, whatever the range
INA219_DEAD_V = 2.0  # nothing that runs a Raspberry Pi is this low: the input is not wired to the cell


class WrongPart(Exception):
    """Something answered that is not the configured gauge, or is not wired to the cell; the message names wire or key."""


class PowerSupply:
    """Undervoltage flag (file, glob pattern allowed) and charge 0..1 (MAX17048, INA219, or none)."""

    def __init__(self, bus: Bus, config: SupplyConfig) -> None:
        self._bus = bus
        self._config = config
        gauges: dict[str, Callable[[], float]] = {"max17048": self._max17048, "ina219": self._ina219}
        self._gauge = gauges.get(config.gauge)
        self._period_ns = ns(config.read_s)
        self._next_ns: int | None = None
        self._next_gauge_ns = 0
        self._gauge_wait_ns = self._period_ns
        self._flag: Path | None = None
        self.trouble: str | None = None  # why charge is unknown although a gauge is configured

    def read(self, now_ns: int) -> Supply | None:
        """The supply's state if `read_s` has passed since the last reading, else None. Never raises."""
        if self._next_ns is not None and now_ns < self._next_ns:
            return None
        self._next_ns = now_ns + self._period_ns
        return Supply(undervoltage=self._undervoltage(), charge=self._charge(now_ns))

    def _undervoltage(self) -> bool | None:
        """hwmon numbers differ between boards and may change when a driver is loaded, so a lost file is looked for again."""
        try:
            if self._flag is None:
                found = sorted(glob(self._config.undervoltage_file))  # noqa: PTH207  (the pattern is absolute)
                if not found:
                    return None
                self._flag = Path(found[0])
            return self._flag.read_bytes().strip() == b"1"
        except OSError:
            self._flag = None
            return None

    def _charge(self, now_ns: int) -> float | None:
        if self._gauge is None or now_ns < self._next_gauge_ns:
            return None
        try:
            charge = self._gauge()
        except (OSError, WrongPart) as error:
            remedy = f"check its SDA (pin 3), SCL (pin 5) and supply.address 0x{self._config.address:02X}"
            self.trouble = str(error) if isinstance(error, WrongPart) else f"{self._config.gauge} does not answer ({error}): {remedy}"
            self._next_gauge_ns = now_ns + self._gauge_wait_ns
            self._gauge_wait_ns = min(2 * self._gauge_wait_ns, max(RETRY_LAST_NS, self._period_ns))
            return None
        self.trouble = None
        self._gauge_wait_ns = self._period_ns
        return max(0.0, min(1.0, charge))  # MAX17048 may say a little over 100 %

    def _word(self, register: int) -> int:
        high, low = self._bus.read_i2c_block_data(self._config.address, register, 2)
        return high << 8 | low

    def _max17048(self) -> float:
        """Charge from the chip's own battery model. Its identity is read each time: after a re-plug it may be another chip."""
        version = self._word(MAX17048_VERSION)
        if version & 0xFFF0 != 0x0010:
            raise WrongPart(
                f"no MAX17048 at supply.address 0x{self._config.address:02X}: its version register reads 0x{version:04X}, not 0x001_"
            )
        return self._word(MAX17048_SOC) / 25600.0

    def _ina219(self) -> float:
        """Charge from the cell's voltage, linear between empty_v and full_v: rough, since a cell's curve is flat in its middle."""
        mode = self._word(INA219_CONFIG) & 0x7
        if mode not in (6, 7):
            raise WrongPart(f"INA219 at 0x{self._config.address:02X} is in mode {mode}, not measuring: power-cycle it, or set supply.gauge")
        volts = (self._word(INA219_BUS) >> 3) * 0.004
        if volts < INA219_DEAD_V:
            raise WrongPart(f"INA219 reads {volts:.2f} V: wire VIN- to the cell")
        return (volts - self._config.empty_v) / (self._config.full_v - self._config.empty_v)
