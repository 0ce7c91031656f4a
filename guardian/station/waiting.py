"""What has come in and is not stored yet: events one after the other, of states and availabilities the newest of each device.

What could not be stored is put back under what has come since, so that an hour without a database costs order to nobody and no memory
beyond the bounds: an event that is repeated meanwhile waits once, with all the messages that its storing will confirm.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from guardian.station.heard import Batch, HeardAvailability, HeardEvent, HeardState
from guardian.station.line import Message

TRACES_MAX = 100_000  # points, half an hour of 500 wearers


class Told(Struct):
    """An event, and every message that told it."""

    heard: HeardEvent
    messages: list[Message]


class Waiting(Struct):
    """Filled by one thread, taken by another, under one lock of theirs. `hurry`: somebody should see this at once."""

    events: dict[tuple[str, str], Told] = {}  # by device and id
    states: dict[str, HeardState] = {}
    availabilities: dict[str, HeardAvailability] = {}
    traces: dict[tuple[str, int, str], dict[str, Any]] = {}
    hurry: bool = False

    def __bool__(self) -> bool:
        return bool(self.events or self.states or self.availabilities or self.traces)

    def add_event(self, heard: HeardEvent, message: Message) -> None:
        """Events always hurry."""
        key = (heard.device, heard.event.id)
        if key in self.events:
            self.events[key].messages.append(message)
        else:
            self.events[key] = Told(heard, [message])
        self.hurry = True

    def add_state(self, heard: HeardState) -> None:
        """A retained one never replaces a spoken one."""
        if heard.at is not None or heard.device not in self.states:
            self.states[heard.device] = heard

    def add_availability(self, heard: HeardAvailability) -> None:
        """As add_state; and who is retired has no state."""
        before = self.availabilities.get(heard.device)
        if heard.at is not None or before is None or before.at is None:
            self.availabilities[heard.device] = heard
            self.hurry = True
            if not heard.word:
                self.states.pop(heard.device, None)

    def add_point(self, key: tuple[str, int, str], point: dict[str, Any]) -> None:
        """The first of a slot stays."""
        if len(self.traces) < TRACES_MAX:
            self.traces.setdefault(key, point)

    def take(self, events_max: int) -> "Waiting":
        """What is to be stored now, of events at most so many; the rest stays and hurries."""
        first = dict(list(self.events.items())[:events_max])
        taken = Waiting(first, self.states, self.availabilities, self.traces)
        self.events = {key: told for key, told in self.events.items() if key not in first}
        self.states, self.availabilities, self.traces, self.hurry = {}, {}, {}, bool(self.events)
        return taken

    def put_back(self, failed: "Waiting") -> None:
        """Nothing of it was stored: it comes first the next time, but never over what is newer."""
        for key, told in self.events.items():
            if key in failed.events:
                told.messages[:0] = failed.events[key].messages
        self.events = {**failed.events, **self.events}
        for state in failed.states.values():
            newer = self.states.get(state.device)
            if newer is None or (newer.at is None and state.at is not None):
                self.states[state.device] = state
        self.availabilities = {**failed.availabilities, **self.availabilities}
        self.traces = {**failed.traces, **self.traces}
        self.hurry = True

    def batch(self) -> Batch:
        """As the store takes it."""
        return Batch([told.heard for told in self.events.values()], self.states, self.availabilities, self.traces)

    def messages(self) -> Iterator[Message]:
        """All to be confirmed once it is stored."""
        return (message for told in self.events.values() for message in told.messages)

    def devices(self) -> set[str]:
        """Whom it is about."""
        return {*self.states, *self.availabilities, *(device for device, _ in self.events)}

    def parts(self) -> list["Waiting"]:
        """Each message for itself."""
        parts = [Waiting({key: told}) for key, told in self.events.items()]
        parts += [Waiting(states={device: state}) for device, state in self.states.items()]
        parts += [Waiting(availabilities={device: word}) for device, word in self.availabilities.items()]
        return parts + [Waiting(traces={key: point}) for key, point in self.traces.items()]
