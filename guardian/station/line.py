"""The station's line to the broker, on paho: comes back by itself, and confirms an event to the broker only after it was stored.

Theory of operation. Availability and state are heard at QoS 0: they are retained and repeated, and a broker must not queue a night of
heartbeats. Events are heard at QoS 1 and confirmed by hand: a good broker sends at most inflight_max before the first is stored. Alone, the
station keeps its session at the broker, which collects events while it is away. With a share_group it keeps none: a dead station's session
would sit on its share. Either way the device repeats what nobody has stored. A confirmation belongs to the connection on which its message
came (`era`); a late one could confirm another message.
"""

import contextlib
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from guardian.config import ConfigError
from guardian.contract import NOBODY, REFUSED
from guardian.station.payloads import MAX_PACKET
from guardian.station.settings import Broker, Settings, read_word

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
CLOSE_S = 2.0
ANSWERS_MAX = 1000
BRIEF_S = 3.0
TAKEN_OVER = 0x8E


class Message(Struct, frozen=True, gc=False):
    """What came. `mid` 0: it needs no confirmation."""

    topic: str
    payload: bytes
    retained: bool
    mid: int
    era: int


class Line:
    """One connection. `hear` is called in paho's thread with each message, `changed` whenever the line comes or goes.

    Raises ConfigError naming key and file where a certificate, key or password file cannot be used.
    """

    def __init__(
        self, settings: Settings, hear: Callable[[Message], None], changed: Callable[[], None], clock: Callable[[], datetime]
    ) -> None:
        broker = settings.broker
        self.why = "never connected"  # the last word on why it is down
        self.listening_since: datetime | None = None  # connected and subscribed since; None: deaf
        self._broker, self._hear, self._changed, self._clock = broker, hear, changed, clock
        self._v5 = broker.protocol == 5
        self._where = f"{broker.host}:{broker.port}"
        self._era = 0
        self._answers: dict[int, int | None] = {}  # mid -> reason, of the newest
        self._news = threading.Condition()
        self._shares = True
        self._refused = self._closing = False
        self._connected_s = 0.0
        self._client = self._made(settings)

    def start(self) -> None:
        """Connect, now or as soon as the broker is there. Call again now and then: it revives a thread that paho has lost."""
        if not self._client.host:
            options: dict[str, Any] = {}
            if self._v5:
                properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
                properties.MaximumPacketSize = MAX_PACKET
                properties.ReceiveMaximum = self._broker.inflight_max
                properties.SessionExpiryInterval = self._expiry_s
                options = {"clean_start": self._expiry_s == 0, "properties": properties}
            self._client.connect_async(self._broker.host, self._broker.port, keepalive=self._broker.keepalive_s, **options)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send at QoS 1, without waiting; False: not connected, and nothing is kept."""
        if not self._client.is_connected():  # events come before the subscription is granted again, and want their receipt
            return False
        return self._client.publish(topic, payload, 1).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def ask(self, topic: str, payload: bytes, limit_s: float) -> str:
        """Send at QoS 1 and wait for the broker's word; "" when somebody is subscribed there, else why it cannot have arrived."""
        if self.listening_since is None:
            return f"no connection to the broker: {self.why}"
        info = self._client.publish(topic, payload, 1)  # outside of the lock: paho holds one of its own, here and in _on_publish
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return f"no connection to the broker: {self.why}"
        with self._news:
            answered = self._news.wait_for(lambda: info.mid in self._answers or self.listening_since is None, limit_s)
            if answered and info.mid not in self._answers:
                return f"the connection to the broker broke: {self.why}"
            reason = self._answers.pop(info.mid, None)
        if not answered:
            return f"the broker has not answered for {limit_s:g} s"
        if reason == NOBODY:
            return "the device is not connected"
        return f"refused by the broker (0x{reason:02x}): check the ACL for {topic}" if reason and reason >= REFUSED else ""

    def confirm(self, message: Message) -> None:
        """Tell the broker that it may forget this message."""
        if message.mid and message.era == self._era:
            self._client.ack(message.mid, 1)

    def again(self) -> None:
        """Connect anew: the broker then repeats what was never confirmed."""
        sock = self._client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]

    def share(self, take: bool) -> None:
        """Take part in the shared events, or leave them to the other stations. Nothing without a share_group."""
        if self._broker.share_group and take != self._shares:
            self._shares = take
            if self.listening_since is not None:
                if take:
                    self._client.subscribe([self._events()])
                else:
                    self._client.unsubscribe(self._events()[0])

    def close(self) -> None:
        """Send what is waiting, and disconnect."""
        self._closing = True
        self._client.disconnect()
        stopping = threading.Thread(target=self._client.loop_stop, daemon=True)  # a thread that looks up a name takes its time
        stopping.start()
        stopping.join(CLOSE_S)
        self.listening_since = None

    # --- making

    @property
    def _expiry_s(self) -> int:
        return 0 if self._broker.share_group else self._broker.session_expiry_s

    def _made(self, settings: Settings) -> Client:
        broker = settings.broker
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{broker.root}-station-{settings.station.name}",
            clean_session=None if self._v5 else self._expiry_s == 0,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.reconnect_delay_set(1, 10)
        client.max_inflight_messages_set(0)  # receipts shall not wait for each other
        if broker.username:
            client.username_pw_set(
                broker.username, read_word(broker.password_file, "broker.password_file") if broker.password_file else None
            )
        if broker.tls:
            client.tls_set_context(tls(broker))
        client.on_pre_connect = _forget
        client.on_socket_open = _at_once
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _events(self) -> tuple[str, Any]:
        topic = f"{self._broker.root}/+/event"
        if self._broker.share_group:
            topic = f"$share/{self._broker.share_group}/{topic}"
        # 2: no retained ones on subscribing; a shared subscription gets none anyway
        return topic, SubscribeOptions(qos=1, retainHandling=2) if self._v5 else 1

    # --- callbacks, in paho's thread

    def _on_connect(self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None) -> None:
        self._era += 1
        self._connected_s = time.monotonic()
        self._refused = reason.is_failure
        if self._refused:
            self._down(f"{self._where} refuses the connection: {reason}")
            return
        zero: Any = SubscribeOptions(qos=0) if self._v5 else 0
        topics = [(f"{self._broker.root}/+/{leaf}", zero) for leaf in ("availability", "state")]
        client.subscribe([*topics, self._events()] if self._shares else topics)

    def _on_subscribe(self, client: Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None) -> None:
        if any(reason.is_failure for reason in reasons):
            self._down(f"{self._where} grants no subscription to {self._broker.root}/+/…: check the ACL for user {self._broker.username!r}")
            return
        if self.listening_since is None:
            log.info("listening at %s", self._where)
            self.listening_since, self.why = self._clock(), ""
            self._changed()

    def _on_disconnect(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self._closing or self._refused:  # the latter was said, with a better reason than the one that comes here
            return
        brief = time.monotonic() - self._connected_s < BRIEF_S  # mosquitto 2.0 says nothing when it throws a namesake out
        hint = (
            "; if another station connects under the same name, give each its own station.name"
            if brief or reason.value == TAKEN_OVER
            else ""
        )
        self._down(f"{self._where}: {reason}{hint}")

    def _on_connect_fail(self, client: Client, userdata: Any) -> None:
        self._down(f"{self._where}: {sys.exc_info()[1] or 'cannot connect'}")  # paho calls this while it handles the OSError

    def _down(self, why: str) -> None:
        if why != self.why:
            log.error("deaf: %s", why)
        with self._news:
            self.listening_since, self.why = None, why
            self._news.notify_all()
        self._changed()

    def _on_publish(self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties | None) -> None:
        with self._news:
            self._answers[mid] = reason.value if self._v5 else None
            if len(self._answers) > ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
            self._news.notify_all()

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(no UTF-8)"
        self._hear(Message(topic, bytes(message.payload), message.retain, message.mid if message.qos else 0, self._era))


def _forget(client: Client, userdata: Any) -> None:
    """Before each connection: the device asks again for receipts, and a command of some other time shall not arrive."""
    client.drop_out_messages()


def _at_once(client: Client, userdata: Any, sock: Any) -> None:
    """Small packets shall not wait for the acknowledgement of those before them (Nagle): a receipt is 40 ms earlier."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def tls(broker: Broker) -> ssl.SSLContext:
    """TLS 1.2 or newer, the host name checked; the system's authorities where no ca_file is given. Raises ConfigError."""
    for key, file in (("ca_file", broker.ca_file), ("cert_file", broker.cert_file), ("key_file", broker.key_file)):
        try:
            if file:
                Path(file).open("rb").close()
        except OSError as error:
            raise ConfigError(f"broker.{key} = {file!r} cannot be read: {error.strerror}") from error
    try:
        context = ssl.create_default_context(cafile=broker.ca_file or None)
        if broker.cert_file:
            context.load_cert_chain(broker.cert_file, broker.key_file, password="")  # an encrypted key must not wait for somebody to type
    except ssl.SSLError as error:
        raise ConfigError(f"broker.ca_file, cert_file or key_file: no PEM files that fit together: {error.reason or error}") from error
    return context
