"""What a caregiver says to a device: each time with a fresh id, so that a second press is a second command.

An acknowledgement is kept before it is sent: whoever takes care of it, nobody else need be called, even if the device is out of reach.
"""

import secrets
from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from guardian.contract import BadPayload, CommandName, CommandPayload, Topics, parse_command
from guardian.station.line import Line
from guardian.station.live import Live
from guardian.station.payloads import is_device
from guardian.station.store import Store

ANSWER_S = 3.0  # a broker that has not answered by then has not got it


class Sent(Struct, frozen=True):
    """What became of a command. `trouble` "": the broker has handed it to the device."""

    id: str
    trouble: str
    stored: bool = True  # of an ack: whether it is kept, so that nobody else is called


class Command:
    """Says it. The methods wait for the broker, at most ANSWER_S: not for an event loop's thread. They raise BadPayload for bad values."""

    def __init__(self, line: Line, store: Store, live: Live, root: str, clock: Callable[[], datetime]) -> None:
        self._line, self._store, self._live, self._root, self._clock = line, store, live, root, clock

    def ack(self, device: str, alarm_id: str, by: str) -> Sent:
        """Help is coming: the wearer hears it, and nobody else is called."""
        id_, stored = _fresh(), True
        try:
            self._store.add_ack(alarm_id, device, by, self._clock(), id_)
        except SQLAlchemyError:
            stored = False
        self._live.touch({device})
        return msgspec.structs.replace(self._say(device, "ack", id_, alarm_id), stored=stored)

    def clear(self, device: str, alarm_id: str) -> Sent:
        """The alarm is over."""
        return self._say(device, "clear", _fresh(), alarm_id)

    def locate(self, device: str) -> Sent:
        """Beep, so that it can be found."""
        return self._say(device, "locate", _fresh())

    def test(self, device: str) -> Sent:
        """Answer with a test event."""
        return self._say(device, "test", _fresh())

    def exercise(self, device: str, value: str) -> Sent:
        """Guard this exercise from now on."""
        return self._say(device, "exercise", _fresh(), value=value)

    def _say(self, device: str, cmd: CommandName, id_: str, alarm_id: str | None = None, value: str | None = None) -> Sent:
        if not is_device(device):
            raise BadPayload("no device's id")
        payload = msgspec.json.encode(CommandPayload(1, cmd, id_, alarm_id, value))
        parse_command(payload)  # as the device will: what it would ignore is not sent
        return Sent(id_, self._line.ask(Topics(self._root, device).command, payload, ANSWER_S))


def _fresh() -> str:
    return secrets.token_hex(8)
