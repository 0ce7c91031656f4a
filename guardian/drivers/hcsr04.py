"""HC-SR04 ranger on two GPIO pins: one ping at a time, one outcome per ping, never a stale value.

Theory of operation. `read` is called once a tick and never blocks: it ends the ping in flight if its outcome is known, and sends the
next one when that is due. Edges of the echo line come by callback from lgpio's thread with the kernel's time stamps and are only
queued there: an exception in a callback would silently end all callbacks of the process. A ping ends

    by a fall after a rise      "echo" for a width between blind_m and range_m, "nothing" for a longer one (all parts say nothing by a
                                long pulse, 38 or 200 ms, but those of `no_echo = "none"`); the next ping waits for the pulse's end
    by no rise until the next   "no_edges", an answer that was not given: unknown, never clear. With `no_echo = "none"` it means
    ping is due                 "nothing", but only for silence_trust_s after the last true echo: a dead part looks the same
    by a line that stays high   "stuck_high": 250 ms after the rise, or high when the ping was due (none is sent then); but "no_edges"
                                while it may be the pulse of the ping before, whose edges were not delivered

Edges from before the trigger, a fall without a rise, pulses too short for blind_m (glitches), and a rise too late to answer this
trigger are ignored. The period is jittered by a fixed sequence, so that a ghost (the echo of the ping before) does not stand still.
"""

import logging
from collections import deque
from typing import Any

from gpiozero.devices import GPIODevice
from gpiozero.output_devices import OutputDevice
from gpiozero.pins import Factory

from guardian.config import Ranger, ns
from guardian.frame import Echo, EchoReason, Fault
from guardian.hardware import Clock, OutputPin

TRIGGER_NS = 10_000  # "10 µs TTL pulse" (all sheets); longer is harmless
ANSWERS_WITHIN_S = 0.010  # trigger's end to rise is 0.2-0.5 ms on all boards; later is noise or somebody else's
STUCK_NS = 250_000_000  # the longest pulse of a working part is 200 ms
QUEUE_MAX = 64  # edges between two reads: a working part makes two, a broken wire thousands

log = logging.getLogger(__name__)


class Hcsr04:
    """The ranger. Raises at construction (no such pin, pin in use); never later."""

    def __init__(self, pins: Factory, config: Ranger, clock: Clock) -> None:
        self._pins: Any = pins  # gpiozero carries no types
        self._clock = clock
        self._config = config
        self._half_speed_m_s = (331.3 + 0.606 * config.temperature_c) / 2.0  # dry air, linear in °C
        self._period_ns = ns(1.0 / config.rate_hz)
        self._jitter_ns = config.jitter_ms * 1_000_000
        self._trust_ns = ns(config.silence_trust_s)
        self._seq = 0  # of the last ping
        self._due_ns: int | None = None
        self._in_flight = False
        self._sent_ns = 0
        self._start = 0.0  # factory ticks before the trigger: older edges are another ping's
        self._end = 0.0  # ... and after it
        self._rise: float | None = None
        self._unanswered = False  # the last ping that was sent
        self._last_echo_ns: int | None = None
        self._faults: tuple[Fault, ...] = ()
        self._edges: deque[tuple[float, int]] = deque()
        trigger = config.trigger_pin
        self._trigger = OutputPin(lambda: OutputDevice(trigger, initial_value=False, pin_factory=pins))  # type: ignore[no-untyped-call]
        self._echo: Any = GPIODevice(config.echo_pin, pin_factory=pins)  # type: ignore[no-untyped-call]
        self._line = self._echo.pin
        self._line.function = "input"
        self._line.pull = "down"  # a torn echo wire reads low, not noise
        self._line.edges = "both"
        self._line.bounce = None
        self._line.when_changed = self._on_edge  # kept by weak reference: a bound method of this living object, no lambda

    def read(self, now_ns: int) -> tuple[Echo | None, tuple[Fault, ...]]:
        """The outcome of a ping, if one has ended since the last call, and the faults that stand. Never raises or blocks."""
        outcome: Echo | None = None
        try:
            if self._in_flight:
                outcome = self._outcome(now_ns)
            elif self._edges:
                self._edges.clear()
            if not self._in_flight and (self._due_ns is None or now_ns >= self._due_ns):
                if not self._line.state:
                    self._ping(now_ns)
                elif outcome is None:  # else it is told in the next tick: one outcome at a time
                    outcome = self._blocked(now_ns)
                self._faults = ()
        except Exception as error:  # noqa: BLE001  (lgpio raises its own bare Exception, gpiozero and the kernel others)
            self._fail(error)
        return outcome, self._faults

    def close(self) -> None:
        """Release both pins."""
        try:
            self._trigger.close()
        finally:
            self._echo.close()

    def _on_edge(self, ticks: float, level: int) -> None:
        """In lgpio's thread."""
        if len(self._edges) < QUEUE_MAX:
            self._edges.append((ticks, level))

    def _ping(self, now_ns: int) -> None:
        self._set_due(now_ns)
        self._edges.clear()
        self._rise = None
        self._start = self._pins.ticks()
        self._trigger.set(1.0)
        try:
            self._clock.wait_until(self._clock.now_ns() + TRIGGER_NS)
        finally:
            self._trigger.off()
        self._end = self._pins.ticks()
        self._sent_ns = self._clock.now_ns()
        self._seq += 1
        self._in_flight = True

    def _blocked(self, now_ns: int) -> Echo:
        """The line is high before the ping: none is sent."""
        self._set_due(now_ns)
        self._seq += 1
        undelivered = self._unanswered and now_ns - self._sent_ns <= STUCK_NS
        return Echo(now_ns, self._seq, None, "no_edges" if undelivered else "stuck_high")

    def _set_due(self, now_ns: int) -> None:
        """When the next ping is due: multiplicative hashing (Knuth 6.4) spreads ping numbers evenly over the jitter."""
        spread = (self._seq * 2654435769) % 2**32  # 2^32 / golden ratio
        period_ns = self._period_ns + (spread * self._jitter_ns >> 32) - self._jitter_ns // 2
        due_ns = (now_ns if self._due_ns is None else self._due_ns) + period_ns
        self._due_ns = due_ns if due_ns > now_ns else now_ns + period_ns  # after a stall or a long pulse: no burst of pings

    def _outcome(self, now_ns: int) -> Echo | None:
        """What the edges say about the ping in flight; None while nothing can be said."""
        diff = self._pins.ticks_diff
        while self._edges:
            ticks, level = self._edges.popleft()
            if level == 1:
                if self._rise is None and diff(ticks, self._start) >= 0.0 and diff(ticks, self._end) <= ANSWERS_WITHIN_S:
                    self._rise = ticks
            elif level == 0 and self._rise is not None:
                distance_m = diff(ticks, self._rise) * self._half_speed_m_s
                if distance_m > self._config.range_m:
                    return self._end_ping("nothing")
                if distance_m >= self._config.blind_m:
                    self._last_echo_ns = self._sent_ns
                    return self._end_ping("echo", distance_m)
                self._rise = None
        if self._rise is not None:
            return self._end_ping("stuck_high") if diff(self._pins.ticks(), self._rise) > STUCK_NS / 1e9 else None
        if self._due_ns is not None and now_ns < self._due_ns:
            return None
        trusted = self._last_echo_ns is not None and self._sent_ns - self._last_echo_ns <= self._trust_ns
        return self._end_ping("nothing" if self._config.no_echo == "none" and trusted else "no_edges")

    def _end_ping(self, reason: EchoReason, distance_m: float | None = None) -> Echo:
        self._in_flight = False
        self._unanswered = reason == "no_edges"
        return Echo(self._sent_ns, self._seq, distance_m, reason)

    def _fail(self, error: Exception) -> None:
        if not self._faults:
            log.warning("ranger on GPIO %d and %d: %r", self._config.trigger_pin, self._config.echo_pin, error)
        detail = f"GPIO {self._config.trigger_pin} (trigger) or {self._config.echo_pin} (echo) fails: {error}"
        self._faults = (Fault("echo_silent", detail),)
