"""The ranger, the buzzer, the motor and the button, and the pins that they hang on: how each kind of failure is drawn, done and undone."""

import errno
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from guardian.config import Config, ns
from lab import acts
from lab.campaign.failure import CANCELLED_S, ECHO, Deed, Due, Failure, Kind, blind, parts
from lab.faults import echo_silent, echo_stuck

if TYPE_CHECKING:
    from lab.campaign.walk import Walk


def _trigger(luck: Random, config: Config) -> Failure:
    lasts_s, pin = luck.uniform(0.3, 5), config.ranger.trigger_pin
    due = blind(ECHO, lasts_s, echo_silent(config))
    return Failure(
        "its trigger cannot be written", lasts_s, lambda w: w.bench.pin_broken(pin, errno.EIO), lambda w: w.bench.pin_heals(pin), due
    )


def _stuck_echo(done: str, begin: Deed, heal: Deed) -> Callable[[Random, Config], Failure]:
    def draw(luck: Random, config: Config) -> Failure:
        lasts_s = luck.uniform(0.3, 5)
        return Failure(done, lasts_s, begin, heal, blind(ECHO, lasts_s, echo_stuck(config)))

    return draw


def _edges_lost(luck: Random, config: Config) -> Failure:
    lasts_s = luck.uniform(1, 5)
    due = blind(ECHO, lasts_s, echo_stuck(config))
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
    due = blind(ECHO, lasts_s, echo_silent(config))
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


def _button_pin(luck: Random, config: Config) -> Failure:
    lasts_s, pin = luck.uniform(0.6, 5), config.button.pin
    due = (Due(frozenset({"button_stuck"}), lasts_s),)
    return Failure("its GPIO cannot be read", lasts_s, lambda w: w.bench.pin_broken(pin, errno.EIO), lambda w: w.bench.pin_heals(pin), due)


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


# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind("ranger: trigger fails", parts("ranger"), _trigger),
    Kind("ranger: echo stuck high", parts("ranger"), _stuck_echo(
        "the echo line stays high", lambda w: w.bench.ranger_stuck_high(), lambda w: w.bench.ranger_heals())),
    Kind("ranger: echo stuck low", parts("ranger"), _stuck_echo(
        "the echo line stays low", lambda w: w.bench.ranger_stuck_low(), lambda w: w.bench.ranger_heals())),
    Kind("ranger: wires off", parts("ranger"), _stuck_echo(
        "all four wires off", lambda w: w.bench.unplug_ranger(), lambda w: w.bench.plug_ranger())),
    Kind("ranger: edges lost", parts("ranger", "pins", "program"), _edges_lost),
    Kind("ranger: loose wires", parts("ranger"), _loose),
    Kind("ranger: ghosts", parts("ranger"), _heard_badly("ghost", 0.1, 0.4, "hear the one before")),
    Kind("ranger: echoes lost", parts("ranger"), _heard_badly("lost", 0.3, 0.8, "come back to nobody")),
    Kind("ranger: spurious echoes", parts("ranger"), _heard_badly("spurious", 0.05, 0.3, "read 4-6 cm")),
    Kind("GPIO: all fail", parts("pins", "ranger", "button"), _all_pins),
    Kind("buzzer: GPIO fails", parts("pins"), _buzzer_pin),
    Kind("motor: GPIO fails", parts("pins", "button"), _motor_pin, after_a_fall=False,
         settings={"buzzer": {"vibration_pin": acts.VIBRATION_PIN}}),
    Kind("button: GPIO fails", parts("button", "pins"), _button_pin),
    Kind("button: lain on", parts("button"), _lain_on, after_a_fall=False),
)
# fmt: on
