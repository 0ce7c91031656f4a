"""The kinds of failure: how each is drawn, done and undone, and what the device then owes its wearer.

Theory of operation. A kind draws one Failure: what is done, for how long, and its dues. A due says from when to when one of some faults
must be told, and how long (running loop) its definition takes; these times follow from guardian.toml and from what is done. Failures
without a due (single errors, short stalls, ghosts) are none by the device's own tables: it has to bear them, and nothing more. `parts`
is what a failure lays its hands on: two failures of a pair have none in common, or one's end would end the other.
"""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from guardian.config import Config, ns
from guardian.monitor.health import ECHO_FAULTS, IMU_FAULTS
from guardian.sim.broker import RECONNECT_S
from lab import acts
from lab.faults import echo_silent, echo_stuck, first_still, imu_silent, link_silent

if TYPE_CHECKING:
    from lab.campaign.walk import Walk

Deed = Callable[["Walk"], object]
Part = Literal["imu", "bus", "ranger", "pins", "button", "loop", "program", "disk", "link", "clock", "supply"]
IMU, ECHO = frozenset(IMU_FAULTS), frozenset(ECHO_FAULTS)
LSM, MPU = "lsm6dsox", "mpu6050"

BACK_S = 5.0  # a chip is tried again at most retry_last_ms apart, then settles and levels
CANCELLED_S = 10.0  # ... and an alarm that it raised is cancelled by the wearer first (walk.py)
ERRNOS = (
    errno.EREMOTEIO, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EBUSY, errno.ENXIO, errno.ENODEV, errno.EPROTO, errno.EINVAL,
    errno.EOPNOTSUPP, errno.ENOMEM, errno.EOVERFLOW, errno.EBADF, errno.EPERM,
)  # fmt: skip


@dataclass(frozen=True)
class Due:
    """One of `names` is told in the verdict, and heard, from its definition on, until `until_s`. Seconds since the failure began."""

    names: frozenset[str]
    until_s: float
    met_s: float = 0.0  # running loop, since from_s
    from_s: float = 0.0
    again: bool = True  # by another life of the program too; False: it takes something that happened once, as the failure began
    line: bool = False  # met once the buzzer's line is to be set to another level than it has: one that nobody writes cannot fail


@dataclass(frozen=True)
class Failure:
    """What happens to one part of one device."""

    done: str  # in words
    lasts_s: float
    begin: Deed
    heal: Deed = lambda walk: None
    dues: tuple[Due, ...] = ()
    back_s: float = BACK_S  # all well again so long after it has ended
    dumb: bool = False  # the buzzer itself has failed: nothing can be heard
    killing: bool = False  # the watchdog has to end the program


@dataclass(frozen=True)
class Kind:
    """A row of the campaign."""

    name: str
    parts: frozenset[Part]
    draw: Callable[[Random, Config], Failure]
    chip: str = ""  # the only IMU that can fail so
    at_power_on: bool = False  # and the wearer stands until it has ended
    after_a_fall: bool = True  # False: what it needs (walking, another exercise, a free button) is not there then
    settings: Mapping[str, Any] = field(default_factory=dict)


# the IMU and its bus


def _blind(names: frozenset[str], lasts_s: float, met_s: float) -> tuple[Due, ...]:
    return (Due(names, lasts_s, met_s),)


def _cable(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(0.3, 5)
    return Failure(
        "cable off", lasts_s, lambda w: w.bench.unplug_imu(), lambda w: w.bench.plug_imu(), _blind(IMU, lasts_s, imu_silent(config))
    )


def _flicker(luck: Random, config: Config) -> Failure:
    def flicker(walk: "Walk") -> None:
        walk.bench.unplug_imu()
        walk.bench.plug_imu()

    return Failure("its supply is gone for a moment: all registers at reset", 0.0, flicker)


def _bus_error(luck: Random, config: Config) -> Failure:
    code, lasts_s = luck.choice(ERRNOS), luck.uniform(0.05, 5)
    due = _blind(IMU, lasts_s, imu_silent(config))
    return Failure(f"every transfer ends in {errno.errorcode[code]}", lasts_s, lambda w: w.bench.bus_error(code, lasts_s), dues=due)


def _single_errors(luck: Random, config: Config) -> Failure:
    code, lasts_s, every_s, times = luck.choice(ERRNOS), luck.uniform(2, 6), luck.uniform(0.15, 0.4), luck.randint(1, 3)

    def spoil(walk: "Walk", left: int) -> None:
        walk.bench.bus.fail(code, walk.ns_from_now(every_s / 2), times=times)  # transfers of then: with none, nothing waits for later ones
        if left:
            walk.later(every_s, partial(spoil, walk, left - 1))

    done = f"{times} transfers in a row end in {errno.errorcode[code]}, each {every_s:.2f} s"
    return Failure(done, lasts_s, lambda w: spoil(w, int(lasts_s / every_s)))


def _hung(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(0.3, 4)
    return Failure("SDA held low", lasts_s, lambda w: w.bench.bus_hang(lasts_s), dues=_blind(IMU, lasts_s, imu_silent(config)))


def _short_reads(luck: Random, config: Config) -> Failure:
    lasts_s, keep = luck.uniform(0.3, 3), luck.randint(0, 2)

    def begin(walk: "Walk") -> None:
        walk.bench.bus.short(keep, walk.ns_from_now(lasts_s))

    # two bytes are a whole count, and of an MPU's sample the first axis: the others stand still
    met_s = config.health.stuck_s if keep == 2 and config.imu.chip == MPU else imu_silent(config)
    return Failure(f"reads bring {keep} bytes", lasts_s, begin, dues=_blind(IMU, lasts_s, met_s), back_s=CANCELLED_S)


def _noise(luck: Random, config: Config) -> Failure:
    lasts_s, mask = luck.uniform(0.5, 4), 1 << luck.randrange(8)

    def begin(walk: "Walk") -> None:
        walk.bench.bus.flip(mask, walk.ns_from_now(lasts_s))

    # the registers are read back each verify_s, and are not what was written; then nothing is read until they are
    due = _blind(IMU, lasts_s, config.imu.verify_s + imu_silent(config))
    return Failure(f"bit {mask:#04x} of each read's last byte flips", lasts_s, begin, dues=due, back_s=CANCELLED_S)


def _spoilt(what: Literal["flipped", "doubled", "missing"], low: float, high: float, words: str) -> Callable[[Random, Config], Failure]:
    def draw(luck: Random, config: Config) -> Failure:
        share, lasts_s = luck.uniform(low, high), luck.uniform(1, 8)
        return Failure(
            f"{share:.1%} of samples {words}",
            lasts_s,
            lambda w: setattr(w.chip.flaws, what, share),
            lambda w: w.chip.flaws.heal(),
            back_s=CANCELLED_S,
        )

    return draw


def _stuck(luck: Random, config: Config) -> Failure:
    axis, lasts_s = luck.randrange(6), luck.uniform(1.2, 5)
    due = _blind(IMU, lasts_s, config.health.stuck_s)
    return Failure(f"{_axis(axis)} frozen", lasts_s, lambda w: w.bench.imu_stuck(axis), lambda w: w.bench.imu_heals(), due, CANCELLED_S)


def _frozen(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1.2, 5)
    due = _blind(IMU, lasts_s, config.health.stuck_s)
    begin: Deed = lambda w: w.chip.stick(range(6), w.bench.clock.now_ns())  # noqa: E731
    return Failure("no output changes", lasts_s, begin, lambda w: w.bench.imu_heals(), due, CANCELLED_S)


def _full_scale(luck: Random, config: Config) -> Failure:
    axes = luck.choice(((0, 1, 2), (3, 4, 5), (luck.randrange(3),), (3 + luck.randrange(3),)))
    lasts_s = luck.choice((luck.uniform(0.02, 0.4), luck.uniform(0.6, 3)))
    due = _blind(IMU, lasts_s, config.health.saturated_s)
    done = f"{', '.join(_axis(axis) for axis in axes)} at full scale"
    return Failure(done, lasts_s, lambda w: w.bench.imu_full_scale(*axes), lambda w: w.bench.imu_heals(), due, CANCELLED_S)


def _axis(axis: int) -> str:
    return f"{'accelerometer' if axis < 3 else 'gyroscope'} {'xyz'[axis % 3]}"


def _other_board(luck: Random, config: Config) -> Failure:
    lasts_s = first_still(config) + luck.uniform(2, 5)
    due = _blind(IMU, lasts_s, first_still(config))
    return Failure("an LSM6DSO32 in place of the LSM6DSOX", lasts_s, acts.wrong_board, lambda w: w.right_board(), due)


def _turning_gyro(luck: Random, config: Config) -> Failure:
    lasts_s = first_still(config) + luck.uniform(2, 5)
    due = _blind(IMU, lasts_s, first_still(config))
    return Failure("a clone whose gyroscope turns at rest", lasts_s, acts.worn_gyro, lambda w: w.right_board(), due)


# the ranger and the pins


def _trigger(luck: Random, config: Config) -> Failure:
    lasts_s, pin = luck.uniform(0.3, 5), config.ranger.trigger_pin
    due = _blind(ECHO, lasts_s, echo_silent(config))
    return Failure(
        "its trigger cannot be written", lasts_s, lambda w: w.bench.pin_broken(pin, errno.EIO), lambda w: w.bench.pin_heals(pin), due
    )


def _stuck_echo(done: str, begin: Deed, heal: Deed) -> Callable[[Random, Config], Failure]:
    def draw(luck: Random, config: Config) -> Failure:
        lasts_s = luck.uniform(0.3, 5)
        return Failure(done, lasts_s, begin, heal, _blind(ECHO, lasts_s, echo_stuck(config)))

    return draw


def _edges_lost(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1, 5)
    due = _blind(ECHO, lasts_s, echo_stuck(config))
    return Failure(
        "the GPIO library's thread is dead, until the program is started anew",
        lasts_s,
        lambda w: w.bench.edges_lost(),
        lambda w: w.kill(),
        due,
    )


def _loose(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(2, 6)

    def off(walk: "Walk", until_ns: int) -> None:
        walk.bench.unplug_ranger()
        walk.later(luck.uniform(0.05, 0.25), partial(on, walk, until_ns))  # fewer pings than echo_stuck_pings

    def on(walk: "Walk", until_ns: int) -> None:
        walk.bench.plug_ranger()
        if walk.bench.clock.now_ns() < until_ns:
            walk.later(luck.uniform(0.1, 0.5), partial(off, walk, until_ns))

    return Failure("its wires touch now and then", lasts_s + 0.25, lambda w: off(w, w.ns_from_now(lasts_s)))


def _heard_badly(name: Literal["ghost", "lost", "spurious"], low: float, high: float, words: str) -> Callable[[Random, Config], Failure]:
    def draw(luck: Random, config: Config) -> Failure:
        share, lasts_s = luck.uniform(low, high), luck.uniform(1, 8)

        def begin(walk: "Walk") -> None:
            walk.world.around.rates = replace(walk.rates, **{name: share})

        def heal(walk: "Walk") -> None:
            walk.world.around.rates = walk.rates

        return Failure(f"{share:.0%} of pings {words}", lasts_s, begin, heal)

    return draw


def _all_pins(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(0.3, 3)
    due = _blind(ECHO, lasts_s, echo_silent(config))
    return Failure("no GPIO can be read or written", lasts_s, lambda w: w.bench.pins_broken(errno.EIO, lasts_s), dues=due, dumb=True)


def _buzzer_pin(luck: Random, config: Config) -> Failure:
    lasts_s, pin = luck.uniform(1, 5), config.buzzer.pin

    def begin(walk: "Walk") -> None:
        walk.bench.pin_broken(pin, errno.EIO)
        walk.asks("locate")  # so that somebody writes it, if nothing more urgent is on it

    due = (Due(frozenset({"output_failed"}), lasts_s, 0.03, again=False, line=True),)
    return Failure(
        "its GPIO cannot be written, and somebody looks for the device", lasts_s, begin, lambda w: w.bench.pin_heals(pin), due, dumb=True
    )


def _motor_pin(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1, 5)
    click_s = config.sounds["press"].length_ns / 1e9
    # heard on the other line. The click may begin where a beep ends: then the first that changes the motor's line is the click's end
    due = (Due(frozenset({"output_failed"}), lasts_s, config.button.debounce_ms / 1000 + click_s + 0.01, again=False),)
    heal: Deed = lambda w: w.bench.pin_heals(acts.VIBRATION_PIN)  # noqa: E731
    return Failure("its GPIO cannot be written, and a press is to be felt", lasts_s, acts.break_motor_and_press, heal, due)


# the computer


def _stall(low: float, high: float) -> Callable[[Random, Config], Failure]:
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


# the disk


def _card_hangs(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(0.2, 8)

    def begin(walk: "Walk") -> None:
        walk.card.hang(lasts_s)
        walk.asks("test")  # something to store

    due = (Due(frozenset({"output_failed"}), lasts_s, config.outbox.store_wait_ms / 1000 + 0.05, again=False),)
    return Failure("no write ends, and there is an event to store", lasts_s, begin, dues=due)


def _refused(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1, 6)
    due = (Due(frozenset({"output_failed"}), lasts_s, config.recorder.chunk_s),)
    return Failure("every write is refused (EFBIG)", lasts_s, acts.refuse_writes, acts.writes_again, due, back_s=6.0)


def _full(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1, 6)
    due = (Due(frozenset({"disk_full"}), lasts_s, 0.03, again=False),)
    return Failure("no space for the journal (ENOSPC)", lasts_s, acts.fill_journal, acts.empty_journal, due, back_s=6.0)


def _between_lives(what: str, spoil: Callable[[Path, Random], str]) -> Callable[[Random, Config], Failure]:
    """The program is killed, and one of its files is not what it was."""

    def draw(luck: Random, config: Config) -> Failure:
        own = Random(luck.random())

        def damage(walk: "Walk") -> None:
            for file in sorted(walk.folder.glob(what)):
                walk.notes.append(f"{file.name}: {spoil(file, own)}")

        return Failure(f"{what} is spoilt while the program is dead", 0.0, lambda w: w.kill(damage), back_s=BACK_S + DAMAGE_SAID_S + 3)

    return draw


def _garbled(file: Path, luck: Random) -> str:
    """Bytes overwritten, the end cut off, or all of it something else. Returns what was done."""
    data = bytearray(file.read_bytes())
    way = luck.choice(("bytes", "cut", "other", "header"))
    if way == "bytes":
        for _ in range(luck.randint(1, 200)):
            if data:
                data[luck.randrange(len(data))] = luck.randrange(256)
    elif way == "cut":
        data = data[: luck.randrange(len(data) + 1)]
    elif way == "header":
        data[:100] = luck.randbytes(min(100, len(data)))
    else:
        data = bytearray(luck.randbytes(luck.randrange(10_000)))
    file.write_bytes(data)
    return way


def _cut(file: Path, luck: Random) -> str:
    data = file.read_bytes()
    file.write_bytes(data[: luck.randrange(len(data) + 1)])
    return "cut"


# the link


def _long(luck: Random, config: Config) -> float:
    """How long a link is down: mostly less than it takes to be a fault."""
    return (
        luck.uniform(link_silent(config) + 1.5, link_silent(config) + 5)
        if luck.random() < 0.3
        else luck.uniform(1, link_silent(config) - 3)
    )


def _link_due(config: Config, lasts_s: float) -> tuple[Due, ...]:
    return (Due(frozenset({"link_down"}), lasts_s, link_silent(config)),)


def _wifi(luck: Random, config: Config) -> Failure:
    lasts_s = _long(luck, config)
    return Failure("Wi-Fi gone", lasts_s, lambda w: w.wifi_down(), lambda w: w.wifi_up(), _link_due(config, lasts_s))


def _broker_off(luck: Random, config: Config) -> Failure:
    lasts_s = _long(luck, config)

    def begin(walk: "Walk") -> None:
        walk.broker_crash()
        walk.wifi_down()

    return Failure("the broker's machine is switched off", lasts_s, begin, lambda w: w.wifi_up(), _link_due(config, lasts_s))


def _broker_restarts(luck: Random, config: Config) -> Failure:
    lasts_s, times = luck.uniform(2, 8), luck.randint(1, 5)

    def again(walk: "Walk", left: int) -> None:
        walk.broker_crash()
        if left:
            walk.later(lasts_s / times, partial(again, walk, left - 1))

    return Failure(f"the broker is started anew {times} times", lasts_s, lambda w: again(w, times - 1))


def _acks_lost(luck: Random, config: Config) -> Failure:
    def turn(to: bool) -> Deed:
        return lambda w: w.network(pubacks=to)

    return Failure("acknowledgements get lost", luck.uniform(2, 9), turn(False), turn(True))


def _slow(luck: Random, config: Config) -> Failure:
    latency_s = luck.uniform(0.3, 2)
    done = f"a packet takes {latency_s:.1f} s"
    return Failure(done, luck.uniform(2, 9), lambda w: w.network(latency_s=latency_s), lambda w: w.network(latency_s=0.02))


def _acked_and_lost(luck: Random, config: Config) -> Failure:
    def heal(walk: "Walk") -> None:
        walk.broker_crash()
        walk.caregiver_back()

    done = "the caregiver is away, and the broker dies with what it has acknowledged"
    return Failure(done, luck.uniform(2, 12), lambda w: w.caregiver_away(), heal)


def _nobody(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(2, 9)

    def begin(walk: "Walk") -> None:
        walk.network(caregiver=False)
        walk.asks("test")

    due = (Due(frozenset({"nobody_listening"}), lasts_s, 0.1, again=False),)  # the event's way, and the answer's
    back_s = 4 * config.outbox.backoff_first_s + 1  # asked after 5, 15 and 35 s; it lasts less than 15
    return Failure("nobody is subscribed, and there is an event", lasts_s, begin, lambda w: w.network(caregiver=True), due, back_s)


def _forbidden(luck: Random, config: Config) -> Failure:
    met_s = (config.outbox.refusals_max - 1) * config.outbox.backoff_first_s + 0.3
    lasts_s = met_s + luck.uniform(1, 5)

    def begin(walk: "Walk") -> None:
        walk.network(refusal=0x87)  # not authorized
        walk.asks("test")

    def heal(walk: "Walk") -> None:
        walk.network(refusal=None)
        walk.broker_crash()

    return Failure("the broker forbids events", lasts_s, begin, heal, (Due(frozenset({"event_refused"}), lasts_s, met_s, again=False),))


# the clock, the configuration, the button, the supply


def _clock_steps(luck: Random, config: Config) -> Failure:
    steps = [luck.choice((-1, 1)) * 10 ** luck.uniform(0, 8) for _ in range(luck.randint(1, 4))]
    lasts_s = luck.uniform(1, 6)

    def step(walk: "Walk", left: tuple[float, ...]) -> None:
        walk.step_s += left[0]
        if left[1:]:
            walk.later(lasts_s / len(steps), partial(step, walk, left[1:]))

    return Failure(f"the time of day jumps by {', '.join(f'{one:.0f}' for one in steps)} s", lasts_s, lambda w: step(w, tuple(steps)))


def _no_clock(luck: Random, config: Config) -> Failure:
    met_s = RECONNECT_S + acts.RESTART_S + config.mqtt.clock_wait_s
    lasts_s = met_s + luck.uniform(1, 3)
    due = (Due(frozenset({"clock_unsynced"}), lasts_s, met_s),)
    return Failure("nobody sets it", lasts_s, acts.no_clock, lambda w: w.bench.set_clock(), due)


BROKEN = (
    b"[imu]\nchip = ", b"[imu\nchip = 'lsm6dsox'\n", b"[imu]\nchip = 'bno055'\n", b"[imu]\naddress = 300\n", b"[imu]\nadress = 0x6A\n",
    b"[health]\nstuck_s = 'one'\n", b"[health]\nstuck_s = -1.0\n", b"[health]\nstuck_s = nan\n", b"imu = 3\n", b"[ranger]\necho_pin = 99\n",
    b"[ranger]\necho_pin = 23\n", b"[sounds.fall]\non_off_ms = []\n", b"[exercises.walk]\nobstacle = 'none'\n",
    b"\xff\xfe[\x00i\x00m\x00u\x00",
    b"\x00" * 512, b"[device]\nexercise = 'swim'\n", b"[policy]\ngrace_s = 1e999\n", b"[mqtt]\nport = 0\n", b"[device]\nid = 'a/b'\n",
    b"[imu]\nforward = '+z'\n", b"[loop]\ntick_ms = 0\n", b"[[imu]]\n", b"[estimate]\nupright_deg = 89\ndown_deg = 10\n", b"\xef\xbb\xbfx",
)  # fmt: skip


def _broken_config(luck: Random, config: Config) -> Failure:
    text = luck.choice(BROKEN)

    def write(walk: "Walk") -> None:
        walk.local.write_bytes(text)

    def mend(walk: "Walk") -> None:
        walk.local.unlink(missing_ok=True)

    return Failure(
        f"started anew with {text[:40]!r} in guardian.toml", luck.uniform(3, 8), lambda w: w.kill(write), mend, back_s=BACK_S + 2
    )


def _lain_on(luck: Random, config: Config) -> Failure:
    met_s = config.health.button_stuck_s + config.button.debounce_ms / 1000 + 0.01
    lasts_s = met_s + luck.uniform(1, 4)
    due = (Due(frozenset({"button_stuck"}), lasts_s, met_s),)

    def clear(walk: "Walk") -> None:
        """The caregiver has called, and clears it; again, where that did not arrive or a program started anew hears the button anew."""
        alarm = walk.verdicts[-1].alarm
        if walk.bench.clock.now_ns() < ns(walk.plan.onset_s):
            if alarm is not None:
                walk.asks("clear", **{"for": alarm.id})
            walk.later(3.0, partial(clear, walk))

    def begin(walk: "Walk") -> None:
        walk.bench.hold()
        walk.later(5.0, partial(clear, walk))

    done = "its contact stays closed: an SOS, which the caregiver clears"
    return Failure(done, lasts_s, begin, lambda w: w.bench.release(), due, CANCELLED_S)


def _button_pin(luck: Random, config: Config) -> Failure:
    lasts_s, pin = luck.uniform(0.6, 5), config.button.pin
    due = (Due(frozenset({"button_stuck"}), lasts_s),)
    return Failure("its GPIO cannot be read", lasts_s, lambda w: w.bench.pin_broken(pin, errno.EIO), lambda w: w.bench.pin_heals(pin), due)


def _supply(done: str, begin: Deed, heal: Deed) -> Callable[[Random, Config], Failure]:
    def draw(luck: Random, config: Config) -> Failure:
        lasts_s = luck.uniform(1, 6)
        return Failure(done, lasts_s, begin, heal, (Due(frozenset({"supply_low"}), lasts_s),))

    return draw


DAMAGE_SAID_S = 4.0  # in place of outbox.damage_said_s, so that a walk sees its end
TOLD_BRIEFLY = {"outbox": {"damage_said_s": DAMAGE_SAID_S}}
FLAG = "in0_lcrit_*"  # of the kernel, in the walk's own folder


def _parts(*parts: Part) -> frozenset[Part]:
    return frozenset(parts)


# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind("IMU: cable off", _parts("imu"), _cable),
    Kind("IMU: supply flickers", _parts("imu"), _flicker),
    Kind("bus: errors", _parts("bus"), _bus_error),
    Kind("bus: single errors", _parts("bus"), _single_errors),
    Kind("bus: hung", _parts("bus"), _hung),
    Kind("bus: short reads", _parts("bus"), _short_reads),
    Kind("bus: noise", _parts("bus"), _noise),
    Kind("samples: bits flip", _parts("imu"), _spoilt("flipped", 0.005, 0.1, "have a bit flipped")),
    Kind("samples: doubled", _parts("imu"), _spoilt("doubled", 0.02, 0.5, "come twice")),
    Kind("samples: missing", _parts("imu"), _spoilt("missing", 0.02, 0.5, "are missing")),
    Kind("IMU: an axis stuck", _parts("imu"), _stuck, after_a_fall=False),
    Kind("IMU: all axes stuck", _parts("imu"), _frozen),
    Kind("IMU: full scale", _parts("imu"), _full_scale, after_a_fall=False),
    Kind("IMU: FIFO overflow", _parts("loop"), _stall(0.75, 1.3), chip=MPU),
    Kind("IMU: another board", _parts("imu"), _other_board, chip=LSM, at_power_on=True),
    Kind("IMU: gyroscope turns", _parts("imu"), _turning_gyro, chip=MPU, at_power_on=True),
    Kind("ranger: trigger fails", _parts("ranger"), _trigger),
    Kind("ranger: echo stuck high", _parts("ranger"), _stuck_echo(
        "the echo line stays high", lambda w: w.bench.ranger_stuck_high(), lambda w: w.bench.ranger_heals())),
    Kind("ranger: echo stuck low", _parts("ranger"), _stuck_echo(
        "the echo line stays low", lambda w: w.bench.ranger_stuck_low(), lambda w: w.bench.ranger_heals())),
    Kind("ranger: wires off", _parts("ranger"), _stuck_echo(
        "all four wires off", lambda w: w.bench.unplug_ranger(), lambda w: w.bench.plug_ranger())),
    Kind("ranger: edges lost", _parts("ranger", "pins", "program"), _edges_lost),
    Kind("ranger: loose wires", _parts("ranger"), _loose),
    Kind("ranger: ghosts", _parts("ranger"), _heard_badly("ghost", 0.1, 0.4, "hear the one before")),
    Kind("ranger: echoes lost", _parts("ranger"), _heard_badly("lost", 0.3, 0.8, "come back to nobody")),
    Kind("ranger: spurious echoes", _parts("ranger"), _heard_badly("spurious", 0.05, 0.3, "read 4-6 cm")),
    Kind("GPIO: all fail", _parts("pins", "ranger", "button"), _all_pins),
    Kind("buzzer: GPIO fails", _parts("pins"), _buzzer_pin),
    Kind("motor: GPIO fails", _parts("pins", "button"), _motor_pin, after_a_fall=False,
         settings={"buzzer": {"vibration_pin": acts.VIBRATION_PIN}}),
    Kind("button: GPIO fails", _parts("button", "pins"), _button_pin),
    Kind("button: lain on", _parts("button"), _lain_on, after_a_fall=False),
    Kind("computer: stall under 0.5 s", _parts("loop"), _stall(0.05, 0.45)),
    Kind("computer: stall of 0.55-2 s", _parts("loop"), _stall(0.55, 2.0)),
    Kind("computer: stall of 2.1-5 s", _parts("loop", "program"), _hangs),
    Kind("computer: jitter", _parts("loop"), _jitter),
    Kind("computer: overloaded", _parts("loop"), _overload),
    Kind("program: killed", _parts("program"), _killed),
    Kind("program: broken config", _parts("program", "disk"), _broken_config),
    Kind("card: hangs", _parts("disk"), _card_hangs),
    Kind("card: refuses writes", _parts("disk"), _refused),
    Kind("card: full", _parts("disk"), _full, after_a_fall=False),
    Kind("file: outbox corrupted", _parts("program", "disk"), _between_lives("outbox.db*", _garbled), settings=TOLD_BRIEFLY),
    Kind("file: journal corrupted", _parts("program", "disk"), _between_lives("journal.json", _garbled), after_a_fall=False,
         settings=TOLD_BRIEFLY),
    Kind("file: sessions corrupted", _parts("program", "disk"), _between_lives("sessions.db*", _garbled), settings=TOLD_BRIEFLY),
    Kind("file: recording truncated", _parts("program", "disk"), _between_lives("recordings/*.mcap", _cut)),
    Kind("link: Wi-Fi lost", _parts("link"), _wifi),
    Kind("link: broker off", _parts("link"), _broker_off),
    Kind("link: broker restarts", _parts("link"), _broker_restarts),
    Kind("link: acknowledgements lost", _parts("link"), _acks_lost),
    Kind("link: slow", _parts("link"), _slow),
    Kind("link: acknowledged and lost", _parts("link"), _acked_and_lost),
    Kind("link: nobody listens", _parts("link"), _nobody),
    Kind("link: events forbidden", _parts("link"), _forbidden),
    Kind("clock: steps", _parts("clock"), _clock_steps),
    Kind("clock: never set", _parts("clock", "link"), _no_clock, at_power_on=True),
    Kind("supply: undervoltage", _parts("supply"), _supply("the kernel's flag", acts.undervoltage("1"), acts.undervoltage("0")),
         settings={"supply": {"undervoltage_file": FLAG}}),
    Kind("supply: MAX17048 low", _parts("supply", "bus"), _supply("10 %", acts.cell(0.10, 3.5), acts.cell(0.80, 3.9)),
         settings={"supply": {"gauge": "max17048"}}),
    Kind("supply: INA219 low", _parts("supply", "bus"), _supply("3.4 V", acts.cell(0.10, 3.4), acts.cell(0.80, 3.9)),
         settings={"supply": {"gauge": "ina219", "address": 0x40}}),
)
# fmt: on
