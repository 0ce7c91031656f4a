"""The computer that stands still or has no time, and the program that ends: how each kind of failure is drawn, done and undone."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from guardian.config import Config
from lab.campaign.failure import BACK_S, Deed, Due, Failure, Kind, parts

if TYPE_CHECKING:
    from lab.campaign.walk import Walk

BROKEN = (
    b"[imu]\nchip = ", b"[imu\nchip = 'lsm6dsox'\n", b"[imu]\nchip = 'bno055'\n", b"[imu]\naddress = 300\n", b"[imu]\nadress = 0x6A\n",
    b"[health]\nstuck_s = 'one'\n", b"[health]\nstuck_s = -1.0\n", b"[health]\nstuck_s = nan\n", b"imu = 3\n", b"[ranger]\necho_pin = 99\n",
    b"[ranger]\necho_pin = 23\n", b"[sounds.fall]\non_off_ms = []\n", b"[exercises.walk]\nobstacle = 'none'\n",
    b"\xff\xfe[\x00i\x00m\x00u\x00",
    b"\x00" * 512, b"[device]\nexercise = 'swim'\n", b"[policy]\ngrace_s = 1e999\n", b"[mqtt]\nport = 0\n", b"[device]\nid = 'a/b'\n",
    b"[imu]\nforward = '+z'\n", b"[loop]\ntick_ms = 0\n", b"[[imu]]\n", b"[estimate]\nupright_deg = 89\ndown_deg = 10\n", b"\xef\xbb\xbfx",
)  # fmt: skip


def stall(low: float, high: float) -> Callable[[Random, Config], Failure]:
    """The computer does nothing, for a time between these (s)."""

    def draw(luck: Random, config: Config) -> Failure:
        lasts_s = luck.uniform(low, high)
        # longer than 1.3 s it may end with the watchdog's kill: then there is no tick of this program to tell it
        late = lasts_s - 2 * config.loop.tick_ms / 1000 > config.health.late_bucket_s
        due = (Due(frozenset({"loop_late"}), lasts_s + 0.6, 0.0, lasts_s),) if late else ()
        return Failure("it does nothing", lasts_s, lambda w: w.bench.stall(lasts_s), dues=due)

    return draw


def _hangs(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(2.1, 5)
    return Failure("the program hangs", lasts_s, lambda w: w.bench.stall(lasts_s), killing=True)


def _jitter(luck: Random, config: Config) -> Failure:
    lasts_s, every_s = luck.uniform(2, 8), luck.uniform(0.03, 0.1)
    most_s = config.loop.late_ms / 1000  # later ones are counted as late
    begin: Deed = lambda w: w.share_computer(every_s, lambda: luck.uniform(0, most_s))  # noqa: E731
    return Failure(f"up to {most_s * 1000:.0f} ms late each {every_s * 1000:.0f} ms", lasts_s, begin, lambda w: w.have_computer())


def _overload(luck: Random, config: Config) -> Failure:
    met_s = config.health.late_bucket_s / (0.6 - config.health.late_leak)
    lasts_s = met_s + luck.uniform(1, 4)
    # of 100 ms the loop runs 40, in which what it counts passes: lateness is in none of its ages
    due = (Due(frozenset({"loop_late"}), lasts_s, 0.4 * met_s + 0.1),)
    return Failure(
        "another program takes 60 ms of every 100", lasts_s, lambda w: w.share_computer(0.1, lambda: 0.06), lambda w: w.have_computer(), due
    )


def _killed(luck: Random, config: Config) -> Failure:
    return Failure("the program is killed (SIGKILL)", 0.0, lambda w: w.kill())


def _broken_config(luck: Random, config: Config) -> Failure:
    text = luck.choice(BROKEN)

    def write(walk: "Walk") -> None:
        walk.local.write_bytes(text)

    def mend(walk: "Walk") -> None:
        walk.local.unlink(missing_ok=True)

    return Failure(
        f"started anew with {text[:40]!r} in guardian.toml", luck.uniform(3, 8), lambda w: w.kill(write), mend, back_s=BACK_S + 2
    )


# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind("computer: stall under 0.5 s", parts("loop"), stall(0.05, 0.45)),
    Kind("computer: stall of 0.55-2 s", parts("loop"), stall(0.55, 2.0)),
    Kind("computer: stall of 2.1-5 s", parts("loop", "program"), _hangs),
    Kind("computer: jitter", parts("loop"), _jitter),
    Kind("computer: overloaded", parts("loop"), _overload),
    Kind("program: killed", parts("program"), _killed),
    Kind("program: broken config", parts("program", "disk"), _broken_config),
)
# fmt: on
