"""The world around the device: an LSM6DSOX's side of its registers, and an ear at the buzzer's line.

Theory of operation. i2c-stub keeps what is written and answers what it was given; what a chip would do is done here, 104 times a second: a
reset bit clears itself and leaves the registers at their reset values, and once both sensors have a rate, each sample is written whole, in
one block. Samples come from files (tests/vm/motion.py made them: a simulated person, through a simulated chip), by the clock: who is late
has lost some, as with a real chip. A file is played once, and then its end, from its second half on, again and again.
The line is looked at as often; a change goes into /run/world/line as "t_ns level". Told by lines into /run/world/told: "play NAME",
"power off", "power on"; each goes into /run/world/line too.
"""

import os
import socket
import time
from pathlib import Path

from smbus2 import SMBus

BUS, ADDRESS = 0, 0x6A
CONTROL, CTRL1_XL, CTRL2_G, CTRL3_C, STATUS = 0x07, 0x10, 0x11, 0x12, 0x1E
IMAGE = 19  # registers from CONTROL on
SW_RESET = 0x01
RESET = {0x02: 0x3F, 0x0F: 0x6C, 0x12: 0x04, 0x18: 0xE0}  # all others 0 (data sheet, register address map)
PERIOD_NS = 9_600_000  # 104.17 Hz
SAMPLE = 16  # bytes from STATUS on: status, temperature, gyroscope, accelerometer
RUN = Path("/run/world")
PLUG = Path("/sys/module/i2c_stub/parameters/absent")


class Chip:
    """The registers that the bus shows."""

    def __init__(self, bus: SMBus) -> None:
        self._bus = bus
        self.power_on()

    def power_on(self) -> None:
        """All registers at reset."""
        for start in range(0, 128, 32):
            self._bus.write_i2c_block_data(ADDRESS, start, [RESET.get(register, 0) for register in range(start, start + 32)])

    def step(self, sample: bytes) -> None:
        """Do what was asked, and show a sample."""
        image = self._bus.read_i2c_block_data(ADDRESS, CONTROL, IMAGE)
        if image[CTRL3_C - CONTROL] & SW_RESET:
            self.power_on()
        elif image[CTRL1_XL - CONTROL] >> 4 and image[CTRL2_G - CONTROL] >> 4:
            self._bus.write_i2c_block_data(ADDRESS, STATUS, list(sample))


class Motion:
    """What is played, from its beginning at `t_ns`."""

    def __init__(self, name: str, t_ns: int) -> None:
        data = Path(__file__).with_name(f"{name}.motion").read_bytes()
        self._samples = [data[i : i + SAMPLE] for i in range(0, len(data), SAMPLE)]
        self._t_ns = t_ns

    def at(self, t_ns: int) -> bytes:
        """The sample of that time."""
        n, count = (t_ns - self._t_ns) // PERIOD_NS, len(self._samples)
        again = count // 2
        return self._samples[n if n < count else again + (n - count) % (count - again)]


def main() -> None:
    """Until killed."""
    bus = SMBus(BUS)
    chip = Chip(bus)
    value = os.open(next(Path("/sys/devices/platform/gpio-sim.0").glob("gpiochip*/sim_gpio17/value")), os.O_RDONLY)
    os.mkfifo(RUN / "told")
    told = os.open(RUN / "told", os.O_RDWR | os.O_NONBLOCK)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    motion, powered, level = Motion("stand", time.monotonic_ns()), True, b"0"
    due_ns = time.monotonic_ns()
    with (RUN / "line").open("a", buffering=1) as line:
        while True:
            now_ns = time.monotonic_ns()
            try:
                words = os.read(told, 64).decode().splitlines()
            except BlockingIOError:
                words = []
            for word in words:
                line.write(f"{now_ns} {word}\n")
                if word == "power off":
                    PLUG.write_text(str(ADDRESS))
                    powered = False
                elif word == "power on":
                    PLUG.write_text("0")
                    chip.power_on()
                    powered = True
                else:
                    motion = Motion(word.removeprefix("play "), now_ns)
            if powered:
                chip.step(motion.at(now_ns))
            seen = os.pread(value, 1, 0)
            if seen != level:
                level = seen
                line.write(f"{now_ns} {level.decode()}\n")
            due_ns = max(due_ns + PERIOD_NS, now_ns)
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)


main()
