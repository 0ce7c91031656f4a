"""A broker and a caregiver for one afternoon: both run inside this program, in a thread of their own, on the loopback.

The broker is amqtt (of the `dev` extra; MQTT 3.1.1). The caregiver is a client of its own on the same network: it stores an event (in
a list), then answers with its receipt, as the contract asks of every receiver.
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from guardian.config import ConfigError
from guardian.contract import Topics

START_S = 10.0


class Received(Struct, frozen=True):
    """An event as it came in, with the fields that a caregiver reads; `at` is this machine's monotonic time, s."""

    id: str
    event_type: str
    severity: str
    evidence: dict[str, Any] = {}
    uptime_s: float = 0.0
    at: float = 0.0


class BrokerAndCaregiver:
    """Both, from `with` to its end. `told` is called in their thread, once for each event, in order of arrival."""

    def __init__(self, topics: Topics, told: Callable[[Received], None]) -> None:
        self.port = 0
        self.received: list[Received] = []
        self._topics = topics
        self._told = told
        self._thread = threading.Thread(target=self._run, name="caregiver", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._failure: Exception | None = None

    def __enter__(self) -> "BrokerAndCaregiver":
        self._thread.start()
        if not self._ready.wait(START_S) or self._failure is not None:
            raise ConfigError(f"the embedded broker did not start: {self._failure or 'no answer'} (it is amqtt's; make demo installs it)")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(START_S)

    def arrived(self, event_type: str) -> Received | None:
        """The first event of this type that has come in."""
        return next((event for event in list(self.received) if event.event_type == event_type), None)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001  (whatever it is, the command says it)
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        from amqtt.broker import Broker  # noqa: PLC0415  (the dev extra's; the device installs no broker)
        from amqtt.client import MQTTClient  # noqa: PLC0415

        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._loop, self._over, self.port = asyncio.get_running_loop(), asyncio.Event(), _free_port()
        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await broker.start()
        client = MQTTClient(client_id="caregiver", config={"auto_reconnect": False})
        await client.connect(f"mqtt://127.0.0.1:{self.port}/")
        await client.subscribe([(self._topics.event, 1)])
        self._ready.set()
        listening = asyncio.create_task(self._listen(client))
        await self._over.wait()
        listening.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await listening
        with suppress(Exception):
            await client.disconnect()
        with suppress(Exception):
            await broker.shutdown()

    async def _listen(self, client: Any) -> None:
        known: set[str] = set()
        while True:
            message = await client.deliver_message()
            event = msgspec.structs.replace(msgspec.json.decode(bytes(message.data), type=Received), at=time.monotonic())
            if event.id not in known:  # at least once: a receiver keeps each id once, and answers each time
                known.add(event.id)
                self.received.append(event)
                self._told(event)
            await client.publish(self._topics.receipt, msgspec.json.encode({"id": event.id}), qos=1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
