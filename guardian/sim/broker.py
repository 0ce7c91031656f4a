"""A broker, its network and a caregiver on simulated time: the other end of the link that outputs/link.py describes.

Theory of operation. A packet takes `latency_s` each way. While the Wi-Fi is down nothing passes, and neither end knows: the broker
publishes the last will 1.5 × keepalive after the device's last packet (MQTT 5, 3.1.2.10), the client gives up 2 × keepalive after the
broker's last word (paho pings after one and waits another). If the Wi-Fi returns before both, TCP delivers what was held back, late;
after that, the client connects anew. What the broker has acknowledged it may still lose in a crash, as real ones do. Nothing here comes
from the device's own code: names and rules are those of the protocol and of the contract's description.
"""

import json
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from guardian.config import Config, ns
from guardian.sim.clock import SimClock

NOBODY = 16  # PUBACK: no matching subscribers
RECONNECT_S = 1.0

Word = (
    tuple[Literal["up"]]
    | tuple[Literal["down"], str]
    | tuple[Literal["ack"], int, int | None]
    | tuple[Literal["message"], str, bytes, bool]
)


class Arrived(Struct, frozen=True):
    """A message as it came."""

    t_ns: int
    topic: str
    payload: bytes
    retain: bool


class SimLink:
    """The device's link, with the broker and the caregiver behind it.

    Things a story may turn at any time: `caregiver` (somebody is subscribed), `receipts` (and answers each event with a receipt),
    `refusal` (a PUBACK reason >= 0x80 for events, or None), `pubacks` (False: they get lost), `latency_s`; wifi_down(), wifi_up(),
    caregiver_away() and caregiver_back() (subscribed, but not connected: the broker queues), broker_crash(), command(). `broker` holds all
    that reached the broker, `seen` what reached the caregiver.
    """

    def __init__(self, clock: SimClock, config: Config, latency_s: float = 0.02) -> None:
        self.dropped = 0
        self.caregiver = True
        self.receipts = True
        self.refusal: int | None = None
        self.pubacks = True
        self.latency_s = latency_s
        self.broker: list[Arrived] = []
        self.seen: list[Arrived] = []
        self.retained: dict[str, bytes] = {}
        self._away = False
        self._queue: list[Arrived] = []
        self._clock = clock
        self._v5 = config.mqtt.protocol == 5
        self._keepalive_ns = ns(config.mqtt.keepalive_s)
        self._root = f"{config.mqtt.root}/{config.device.id}"
        self._words: list[Word] = []
        self._wifi = True
        self._session = 0  # number of the connection, 0 before the first
        self._up = False  # as the client sees it
        self._known = False  # as the broker sees it
        self._held: list[tuple[int, Callable[[], None]]] = []  # (session, what happens on arrival), both ways
        self._from_device_ns = 0
        self._from_broker_ns = 0
        self._token = 0
        self._closed = False
        self._connect_later(0.0)

    # --- the device's side

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int | None:
        """Send to the broker."""
        if not self._up:
            return None
        self._token += 1
        token = self._token
        self._pass(lambda: self._publish(topic, payload, retain, token if qos else None))
        return token

    def poll(self) -> list[Word]:
        """What the link has said since the last poll."""
        words, self._words = self._words, []
        return words

    def wait(self, limit_s: float) -> float:
        """Let simulated time pass until something is said."""
        begun_ns = self._clock.now_ns()
        end_ns = begun_ns + ns(limit_s)
        while not self._words and self._clock.now_ns() < end_ns:
            self._clock.wait_until(min(end_ns, self._clock.now_ns() + 1_000_000))
        return (self._clock.now_ns() - begun_ns) / 1e9

    def close(self, farewell: bool) -> None:
        """Disconnect; without farewell the broker speaks the last will."""
        self._closed, self._up = True, False
        if self._wifi and self._known:
            self._known = False
            if not farewell:
                self._will()

    # --- the story's side

    def wifi_down(self) -> None:
        """The network is gone, unnoticed."""
        if self._wifi:
            self._wifi = False
            self._at(self._from_device_ns + self._keepalive_ns * 3 // 2, self._broker_gives_up)
            self._at(self._from_broker_ns + self._keepalive_ns * 2, self._client_gives_up)

    def wifi_up(self) -> None:
        """It is back: what was under way arrives, if both ends still know each other; else the client connects anew."""
        if self._wifi:
            return
        self._wifi = True
        held, self._held = self._held, []
        for session, arrive in held:
            if session == self._session and self._up and self._known:
                self._clock.schedule(self._clock.now_ns() + ns(self.latency_s), arrive)
        if self._up and not self._known:
            self._at(self._clock.now_ns() + ns(self.latency_s), lambda: self._lose("connection reset"))
        elif not self._up:
            self._connect_later(RECONNECT_S)

    def caregiver_away(self) -> None:
        """The caregiver's program is disconnected; its subscription lives on in the broker."""
        self._away = True

    def caregiver_back(self) -> None:
        """It is back, and gets what the broker still has for it."""
        self._away = False
        queue, self._queue = self._queue, []
        for message in queue:
            self._see(message)

    def broker_crash(self) -> None:
        """The broker dies and is back a second later, without what it had acknowledged and queued but not yet saved."""
        self._queue.clear()
        self._known = False
        self._lose("connection refused")

    def command(self, payload: bytes | dict[str, object], retain: bool = False) -> None:
        """A caregiver says something to the device."""
        self._deliver("command", payload if isinstance(payload, bytes) else json.dumps(payload).encode(), retain)

    def receipt(self, payload: bytes | dict[str, object]) -> None:
        """A receiver answers, or somebody pretends to."""
        self._deliver("receipt", payload if isinstance(payload, bytes) else json.dumps(payload).encode(), False)

    def home_assistant_starts(self) -> None:
        """It says so, under its default prefix, and not retained."""
        if self._known:
            self._pass(lambda: self._say(("message", "homeassistant/status", b"online", False)))

    def events(self, event_type: str | None = None) -> list[dict[str, object]]:
        """The events that the caregiver saw, decoded, repeats included."""
        seen = [json.loads(message.payload) for message in self.seen if message.topic == f"{self._root}/event"]
        return [event for event in seen if event_type in (None, event["event_type"])]

    def state(self) -> dict[str, object]:
        """The retained state."""
        state: dict[str, object] = json.loads(self.retained[f"{self._root}/state"])
        return state

    @property
    def availability(self) -> str:
        """The retained availability; "" before the first."""
        return self.retained.get(f"{self._root}/availability", b"").decode()

    # --- in between

    def _at(self, t_ns: int, action: Callable[[], None]) -> None:
        """Let something happen to this connection, unless it has ended by then."""
        session = self._session
        self._clock.schedule(max(t_ns, self._clock.now_ns()), lambda: action() if session == self._session else None)

    def _pass(self, arrive: Callable[[], None]) -> None:
        """One packet, either way: it arrives after the latency, or is held back while the Wi-Fi is down."""
        session = self._session

        def landing() -> None:
            if session == self._session and not self._closed:
                if self._wifi:
                    arrive()
                else:
                    self._held.append((session, landing))

        self._clock.schedule(self._clock.now_ns() + ns(self.latency_s), landing)

    def _say(self, word: Word) -> None:
        """A packet from the broker has arrived."""
        self._from_broker_ns = self._clock.now_ns()
        self._words.append(word)

    def _publish(self, topic: str, payload: bytes, retain: bool, token: int | None) -> None:
        """A publish has reached the broker."""
        self._from_device_ns = self._clock.now_ns()
        event = topic.endswith("/event")
        reason = self.refusal if event and self.refusal is not None else 0 if self.caregiver else NOBODY
        if reason < 0x80:
            self._store(topic, payload, retain)
        if token is not None and self.pubacks:
            answer = reason if self._v5 else None
            self._pass(lambda: self._say(("ack", token, answer)))

    def _store(self, topic: str, payload: bytes, retain: bool) -> None:
        message = Arrived(self._clock.now_ns(), topic, payload, retain)
        self.broker.append(message)
        if retain:
            self.retained[topic] = payload
        if self.caregiver and self._away:
            self._queue.append(message)
        elif self.caregiver:
            self._see(message)

    def _see(self, message: Arrived) -> None:
        self.seen.append(message)
        if message.topic.endswith("/event") and self.receipts:
            self._deliver("receipt", json.dumps({"id": json.loads(message.payload)["id"]}).encode(), False)

    def _deliver(self, leaf: str, payload: bytes, retain: bool) -> None:
        if self._known:  # a clean start: nothing is kept for a device that is away
            self._pass(lambda: self._say(("message", f"{self._root}/{leaf}", payload, retain)))

    def _connect_later(self, delay_s: float) -> None:
        self._session += 1
        self._at(self._clock.now_ns() + ns(delay_s + 2 * self.latency_s), self._connect)

    def _connect(self) -> None:
        if self._wifi and not self._closed:
            if self._known:
                self._will()  # taken over: the broker ends the old connection first
            self._up = self._known = True
            self._from_device_ns = self._clock.now_ns()
            self._say(("up",))

    def _lose(self, why: str) -> None:
        if self._up and self._wifi:
            self._up = False
            self._words.append(("down", why))
            self._connect_later(RECONNECT_S)

    def _broker_gives_up(self) -> None:
        if not self._wifi and self._known and self._clock.now_ns() >= self._from_device_ns + self._keepalive_ns * 3 // 2:
            self._known = False
            self._will()

    def _client_gives_up(self) -> None:
        if not self._wifi and self._up and self._clock.now_ns() >= self._from_broker_ns + self._keepalive_ns * 2:
            self._up = False
            self._words.append(("down", "keep alive timeout"))

    def _will(self) -> None:
        self._store(f"{self._root}/availability", b"offline", True)
