"""The link to the caregivers' broker: how each kind of failure is drawn, done and undone."""

from functools import partial
from random import Random
from typing import TYPE_CHECKING

from guardian.config import Config
from lab.campaign.failure import Deed, Due, Failure, Kind, parts
from lab.faults import link_silent

if TYPE_CHECKING:
    from lab.campaign.walk import Walk


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


# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind("link: Wi-Fi lost", parts("link"), _wifi),
    Kind("link: broker off", parts("link"), _broker_off),
    Kind("link: broker restarts", parts("link"), _broker_restarts),
    Kind("link: acknowledgements lost", parts("link"), _acks_lost),
    Kind("link: slow", parts("link"), _slow),
    Kind("link: acknowledged and lost", parts("link"), _acked_and_lost),
    Kind("link: nobody listens", parts("link"), _nobody),
    Kind("link: events forbidden", parts("link"), _forbidden),
)
# fmt: on
