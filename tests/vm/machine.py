"""A computer of its own: a Debian kernel under QEMU, whose clock is made of instructions, and hands and ears in it.

Theory of operation. QEMU interprets (TCG) and counts: each guest instruction takes 2**SHIFT ns of the guest's time, however long the
host takes for it (-icount), and time in which the guest has nothing to do is skipped (sleep=off). So the guest does not notice how busy
the host is, and nothing a story measures does either: all its times are the guest's CLOCK_MONOTONIC, all its waits end by that clock.
`HUNG_S` is the host's patience with a guest that says nothing at all.
A power cut is SIGKILL for QEMU: what the guest's kernel had not yet written to its disk is gone; what it had is in the host's file
(cache=unsafe: without the host's own flushes, since the host lives on). The next boot gets the same disk.
"""

import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

OUT = Path(__file__).parents[2] / "lab" / "out" / "vm"
BUILT = ("vmlinuz", "initrd.gz", "disk.img", "disk.ready")
SHIFT = 1  # an instruction takes 2**SHIFT ns: 500 million a second, about a core of a Pi Zero 2 W (1 GHz, two cycles each)
MEMORY_MB = 512  # as a Zero 2 W has
HUNG_S = 1800.0


class Edge(NamedTuple):
    """The buzzer's line became that level, s of the guest's clock."""

    t_s: float
    on: bool


class Heard(NamedTuple):
    """A message at the subscriber: s since 1970, retained, topic, payload."""

    utc_s: float
    retained: bool
    topic: str
    payload: str

    @property
    def event(self) -> dict[str, Any]:
        """The payload, which is JSON."""
        found: dict[str, Any] = json.loads(self.payload)
        return found


class Machine:
    """A guest with a disk of its own."""

    def __init__(self, name: str) -> None:
        self.log = OUT / f"{name}.log"
        self.log.unlink(missing_ok=True)
        self.disk = OUT / f"{name}.img"
        subprocess.run(["cp", "--sparse=always", OUT / "disk.img", self.disk], check=True)
        self._port = Path(tempfile.mkdtemp(prefix="guest-")) / "port"  # a socket's path may have 107 characters
        self._qemu: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Power on, and wait until the guest answers."""
        self._port.unlink(missing_ok=True)
        words = ("console=ttyS0", "panic=-1", "quiet", "systemd.show_status=0", "systemd.journald.forward_to_console=1")
        options = f"""
            -accel tcg,thread=single -icount shift={SHIFT},sleep=off -rtc base=utc,clock=vm -cpu max -m {MEMORY_MB}
            -nodefaults -no-user-config -display none -no-reboot -kernel vmlinuz -initrd initrd.gz
            -drive file={self.disk.name},format=raw,if=virtio,cache=unsafe -device virtio-rng-pci -device virtio-serial-pci
            -chardev socket,id=agent,path={self._port},server=on,wait=off -device virtserialport,chardev=agent,name=agent
            -chardev file,id=console,path={self.log.name},append=on -serial chardev:console
        """
        self._qemu = subprocess.Popen(
            ["qemu-system-x86_64", *options.split(), "-append", " ".join(words)], cwd=OUT, stdin=subprocess.DEVNULL
        )
        self._link = socket.socket(socket.AF_UNIX)
        until = time.monotonic() + HUNG_S
        while True:
            try:
                self._link.connect(str(self._port))
                break
            except OSError:
                assert self._qemu.poll() is None and time.monotonic() < until, "QEMU does not start"
                time.sleep(0.1)
        self._link.settimeout(HUNG_S)
        self._answers = self._link.makefile("rb")
        self.run("true")

    def cut_power(self) -> None:
        """Pull the plug."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._link.close()
            self._qemu = None

    def scrap(self) -> None:
        """Off for good, its disk gone; the log stays."""
        self.cut_power()
        self.disk.unlink()
        shutil.rmtree(self._port.parent)

    def run(self, command: str, limit_s: float = 60.0) -> str:
        """What root's shell in the guest prints. AssertionError when it fails."""
        return self._ask(command, limit_s, again=False)

    def wait(self, command: str, limit_s: float) -> str:
        """The same, again and again until it succeeds and prints something; AssertionError after `limit_s`."""
        return self._ask(command, limit_s, again=True)

    def _ask(self, command: str, limit_s: float, again: bool) -> str:
        self._link.sendall(json.dumps({"run": command, "limit_s": limit_s, "again": again}).encode() + b"\n")
        answer = json.loads(self._answers.readline())
        self.now_s: float = answer["t_s"]
        said: str = answer["said"]
        assert answer["rc"] == 0, f"{command}: {answer['rc']}: {said}"
        return said.strip()

    def tell(self, word: str) -> float:
        """Tell the world around the device (guest/world.py); its time, s."""
        before = len(self._world())
        self.run(f"echo {word} >/run/world/told")
        self.wait(f"tail -n +{before + 1} /run/world/line | grep '{word}'", 5)
        return max(int(line.split()[0]) / 1e9 for line in self._world() if line.endswith(word))

    def edges(self, since_s: float = 0.0) -> list[Edge]:
        """What the buzzer's line did since then."""
        words = [line.split() for line in self._world()]
        return [Edge(int(t) / 1e9, level == "1") for t, level, *more in words if level in "01" and not more and int(t) / 1e9 >= since_s]

    def heard(self, kind: str = "event") -> list[Heard]:
        """Messages that arrived at the subscriber, of the topics that end with `kind`."""
        found = []
        for line in self.run("cat /run/world/heard 2>/dev/null || true").splitlines():
            match = re.fullmatch(r"([\d.]+) ([01]) (\S+) (.*)", line)
            if match and match[3].endswith(f"/{kind}"):
                found.append(Heard(float(match[1]), match[2] == "1", match[3], match[4]))
        return found

    def wait_for_event(self, event_type: str, limit_s: float, after: int = 0) -> dict[str, Any]:
        """The first such event at the subscriber beyond the first `after`; all that came is in the message of failure."""
        pattern = f'"event_type":"{event_type}"'
        try:
            self.wait(f"test $(grep -c '{pattern}' /run/world/heard) -gt {after} && echo yes", limit_s)
        except AssertionError:
            came = [one.event["event_type"] for one in self.heard()]
            raise AssertionError(f"no {event_type} within {limit_s} s; heard: {came}") from None
        return [one.event for one in self.heard() if one.event["event_type"] == event_type][after]

    def state(self) -> dict[str, Any]:
        """The device's last published state."""
        return self.heard("state")[-1].event

    def hold_button(self, down: bool) -> None:
        """The button's line to ground, or let go."""
        pull = "pull-down" if down else "pull-up"
        self.run(f"for line in /sys/devices/platform/gpio-sim.0/gpiochip*/sim_gpio25; do echo {pull} >$line/pull; done")

    def unit(self, what: str) -> str:
        """A property of guardian.service."""
        return self.run(f"systemctl show guardian --value -p {what}")

    def _world(self) -> list[str]:
        return self.run("cat /run/world/line").splitlines()
