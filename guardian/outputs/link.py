"""The link to the broker: what mqtt.py needs of one, and the real one on paho.

Theory of operation. paho's network thread belongs to paho: its callbacks put words into a queue and return, and the loop's thread takes
them out with poll(). Nothing is published unless connected, because paho would keep it in memory and send it at some later time; the
outbox is the only queue. For the same reason what had no answer is thrown away before each new connection. Being connected means that
the subscriptions are granted too: who then sees "online" may send a command and it arrives. Every connection starts clean, so that a
broker cannot hand over a `clear` that was sent while the device was away.
"""

import contextlib
import logging
import socket
import ssl
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Literal, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from guardian import config
from guardian.config import ConfigError
from guardian.contract import MAX_COMMAND_BYTES, Topics
from guardian.outputs.discovery import birth_topic

log = logging.getLogger(__name__)

# What a link says. Plain tuples, so that the simulated link needs nothing of this file.
Up = tuple[Literal["up"]]  # connected and subscribed
Down = tuple[Literal["down"], str]  # why
Ack = tuple[Literal["ack"], int, int | None]  # token, PUBACK reason (None: the protocol has none)
Message = tuple[Literal["message"], str, bytes, bool]  # topic, payload, retained
Word = Up | Down | Ack | Message


class Link(Protocol):
    """A connection to a broker that comes and goes by itself. Its methods are called in the loop's thread and never raise."""

    dropped: int  # messages from outside that came faster than they were taken

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int | None:
        """Send; the token by which its acknowledgement is known (QoS 1), or None: not connected, nothing is kept."""
        ...

    def poll(self) -> list[Word]:
        """What has been said since the last poll, in order."""
        ...

    def wait(self, limit_s: float) -> float:
        """Wait until something has been said, at most limit_s; how long it took, s. Only for the end of the program."""
        ...

    def close(self, farewell: bool) -> None:
        """End the connection. Without farewell the broker publishes the last will: a crash is no good-bye."""
        ...


CONNECT_TIMEOUT_S = 5.0
QUEUE_MAX = 256  # messages from outside waiting for the loop, some seconds of them at any sane rate
MAX_PACKET = 4 * MAX_COMMAND_BYTES  # a v5 broker sends nothing longer
REVIVE_S = 1.0
JOIN_S = 0.3  # connected, it ends at once; else it sleeps or looks up a name, and ends with the process


class PahoLink:
    """paho-mqtt 2.x, MQTT 5 or 3.1.1. Connects at once, in paho's thread, and again whenever the connection is lost (after 1 to 30 s).

    `will`: the broker says "offline" when the connection breaks. Raises ConfigError naming key and file where a certificate, key or
    password file cannot be used.
    """

    def __init__(self, config_: config.Config, will: bool = True) -> None:
        mqtt, self._topics = config_.mqtt, Topics(config_.mqtt.root, config_.device.id)
        self.dropped = 0
        self._v5 = mqtt.protocol == 5
        self._queue: deque[Word] = deque()
        self._said = threading.Event()
        self._up = False
        self._refused = False
        self._closed = False
        self._revive_s = 0.0
        self._where = f"{mqtt.host}:{mqtt.port}"
        self._birth = birth_topic(mqtt) if mqtt.discovery else None
        self._client = self._made(config_, will)
        try:
            if not mqtt.host.encode("idna"):  # in paho's thread the error would end the thread
                raise ConfigError("mqtt.host is empty: set the broker's name or address")
        except UnicodeError as error:
            raise ConfigError(f"mqtt.host = {mqtt.host!r} is no host name: {error}") from error
        properties = None
        if self._v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = MAX_PACKET
        clean = {"clean_start": True, "properties": properties} if self._v5 else {}
        self._client.connect_async(mqtt.host, mqtt.port, keepalive=mqtt.keepalive_s, **clean)  # type: ignore[arg-type]
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int | None:
        """Hand a message to paho's thread."""
        if not self._up or self._closed:
            return None
        info = self._client.publish(topic, payload, qos, retain)
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def poll(self) -> list[Word]:
        """Take the words out of the queue."""
        now_s = time.monotonic()
        if now_s >= self._revive_s and not self._closed:
            self._revive_s = now_s + REVIVE_S
            self._client.loop_start()  # nothing while paho's thread lives; in 2.1 a packet that it cannot parse ends it
        if not self._queue:
            return []
        self._said.clear()
        return [self._queue.popleft() for _ in range(len(self._queue))]

    def wait(self, limit_s: float) -> float:
        """Wait for a word."""
        before_s = time.monotonic()
        if not self._queue:
            self._said.wait(limit_s)
        return time.monotonic() - before_s

    def close(self, farewell: bool) -> None:
        """Disconnect, and give paho's thread a moment to end."""
        if self._closed:
            return
        self._closed, self._up = True, False
        sock = self._client.socket()
        if farewell:
            self._client.disconnect()
        elif sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]
        # loop_stop() waits for the thread without limit, and a thread that looks up a name can take its time
        stopping = threading.Thread(target=self._client.loop_stop, daemon=True)
        stopping.start()
        stopping.join(JOIN_S)

    def _made(self, config_: config.Config, will: bool) -> Client:
        mqtt = config_.mqtt
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{mqtt.root}-{config_.device.id}",
            clean_session=None if self._v5 else True,
            protocol=MQTTProtocolVersion.MQTTv5 if self._v5 else MQTTProtocolVersion.MQTTv311,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.reconnect_delay_set(1, 30)
        client.max_inflight_messages_set(0)  # mqtt.py bounds what is in flight; paho shall hold nothing back
        if will:
            client.will_set(self._topics.availability, b"offline", qos=1, retain=True)
        if mqtt.username:
            client.username_pw_set(mqtt.username, _password(mqtt.password_file))
        elif mqtt.password_file:
            raise ConfigError("mqtt.password_file is set, but mqtt.username is empty: set both or neither")
        if mqtt.tls:
            client.tls_set_context(_tls(mqtt))
        elif mqtt.ca_file or mqtt.cert_file or mqtt.key_file:
            raise ConfigError(
                "mqtt.ca_file, cert_file or key_file is set, but mqtt.tls is false: nothing would be encrypted. Set mqtt.tls = true"
            )
        client.on_pre_connect = _forget
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    # --- callbacks, in paho's thread

    def _say(self, word: Word) -> None:
        self._queue.append(word)
        self._said.set()

    def _on_connect(self, client: Client, userdata: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None) -> None:
        self._refused = reason.is_failure
        if self._refused:
            self._say(("down", f"{self._where} refuses the connection: {reason}"))
            return
        topics = [self._topics.command, self._topics.receipt]
        if self._birth:
            topics.append(self._birth)
        if self._v5:  # 2: no retained messages on subscribing
            client.subscribe([(topic, SubscribeOptions(qos=1, retainHandling=2)) for topic in topics])
        else:
            client.subscribe([(topic, 1) for topic in topics])

    def _on_subscribe(self, client: Client, userdata: Any, mid: int, reasons: list[ReasonCode], properties: Properties | None) -> None:
        if any(reason.is_failure for reason in reasons[:2]):  # the third is Home Assistant's birth: without it the device only speaks first
            log.error("the broker grants no commands or receipts (%s): check the ACL for %s", reasons, self._topics.command)
        self._up = True
        self._say(("up",))

    def _on_disconnect(
        self, client: Client, userdata: Any, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._up = False
        if not self._refused:  # that was said, with a better reason than the one that comes here
            self._say(("down", f"{self._where}: {reason}"))

    def _on_connect_fail(self, client: Client, userdata: Any) -> None:
        self._say(("down", f"{self._where}: {sys.exc_info()[1] or 'cannot connect'}"))  # paho calls this while it handles the OSError

    def _on_publish(self, client: Client, userdata: Any, mid: int, reason: ReasonCode, properties: Properties | None) -> None:
        self._say(("ack", mid, reason.value if self._v5 else None))

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        if len(self._queue) >= QUEUE_MAX:
            self.dropped += 1
            return
        with contextlib.suppress(UnicodeDecodeError):  # a topic that is no UTF-8 is none of ours
            self._say(("message", message.topic, bytes(message.payload), message.retain))


def _forget(client: Client, userdata: Any) -> None:
    """Before each connection: what had no answer is dropped (paho >= 2.2; before, paho repeats it, and receivers drop the duplicate)."""
    forget = getattr(client, "drop_out_messages", None)
    if forget is not None:
        forget()


def _password(file: str) -> str | None:
    if not file:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mqtt.password_file = {file!r} cannot be read: {_why(error)}") from error


def _tls(mqtt: config.Mqtt) -> ssl.SSLContext:
    """TLS 1.2 or newer, the host name checked; the system's authorities where no ca_file is given."""
    for key, file in (("ca_file", mqtt.ca_file), ("cert_file", mqtt.cert_file), ("key_file", mqtt.key_file)):
        try:
            if file:
                Path(file).open("rb").close()
        except OSError as error:
            raise ConfigError(f"mqtt.{key} = {file!r} cannot be read: {_why(error)}") from error
    try:
        context = ssl.create_default_context(cafile=mqtt.ca_file or None)
    except ssl.SSLError as error:
        raise ConfigError(f"mqtt.ca_file = {mqtt.ca_file!r} holds no PEM certificate: {_why(error)}") from error
    if bool(mqtt.cert_file) != bool(mqtt.key_file):
        raise ConfigError("mqtt.cert_file and mqtt.key_file belong together: set both or neither")
    if mqtt.cert_file:
        try:
            context.load_cert_chain(mqtt.cert_file, mqtt.key_file, password="")  # an encrypted key must not wait for somebody to type
        except ssl.SSLError as error:
            files = f"mqtt.cert_file = {mqtt.cert_file!r} and mqtt.key_file = {mqtt.key_file!r}"
            raise ConfigError(f"{files} are no PEM pair without a pass phrase: {_why(error)}") from error
    return context


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
