"""A list of what happened. All of it came from the broker: it is shown as text, and only as text."""

import msgspec

from guardian.contract import EVENTS as KNOWN
from guardian.contract import Severity
from guardian.station import words
from guardian.station.pages.marks import EVENTS, SEVERITIES
from guardian.station.pages.tags import Tag, link
from guardian.station.pages.viewer import Viewer
from guardian.station.tables import Event


class Messages:
    """The list, built anew when it has changed. With `names` each line says whose it is, and shows its details."""

    def __init__(self, viewer: Viewer, none: str, names: bool = False) -> None:
        self._viewer = viewer
        self._names = names
        self._shown: list[tuple[str, str | None]] | None = None
        self._none = Tag("p", "soft", none, hidden=True)
        self._list = Tag("ul", "messages")

    def update(self, events: list[Event]) -> None:
        """Show these."""
        shown = [(event.id, event.feedback) for event in events]
        if shown == self._shown:
            return
        self._shown = shown
        self._none.show(not events)
        self._list.clear()
        with self._list:
            for event in events:
                self._line(event)

    def _line(self, event: Event) -> None:
        viewer = self._viewer
        tone, sign = SEVERITIES[severity_of(event)]
        with Tag("li", f"tone-{tone}", data_event=event.id):
            Tag("span", "disc", aria_hidden="true", data_sign=EVENTS.get(event.event_type, sign))
            with Tag("div"):
                whose = viewer.picture(event.device)
                if self._names and whose is not None:
                    link(whose.name, f"/wearer/{event.device}", "whose")
                Tag("p", "what", sentence(viewer, event))
                with Tag("p", "when"):
                    Tag("span", text=viewer.say(f"severity.{severity_of(event)}"))
                    Tag("time", text=viewer.at(event.at), datetime=event.at.isoformat())
                    Tag("span", text=words.exercise(event.exercise, viewer.language))
                if event.feedback is not None and words.known(f"feedback.{event.feedback}"):
                    was = viewer.say(f"feedback.{event.feedback}")
                    Tag("p", "was", viewer.say("feedback.was", what=was, who=event.feedback_by or viewer.say("alarm.somebody")))
                if self._names:
                    with Tag("details", "soft small"):
                        Tag("summary", text=viewer.say("history.details"))
                        Tag("p", text=", ".join([event.id, *(f"{key} {_short(value)}" for key, value in evidence_of(event).items())]))


def severity_of(event: Event) -> Severity:
    """The contract's; of an event type that this station does not know, what came along."""
    claimed: Severity = event.severity if event.severity in SEVERITIES else "warning"
    return KNOWN.get(event.event_type, claimed)


def evidence_of(event: Event) -> dict[str, object]:
    """What the device gave as its reasons."""
    evidence: dict[str, object] = msgspec.json.decode(event.evidence_json)
    return evidence


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def sentence(viewer: Viewer, event: Event) -> str:
    """An event in words, with the one fact that matters."""
    said, evidence = words.event(event.event_type, viewer.language), evidence_of(event)
    fault, distance = evidence.get("fault"), evidence.get("distance_m")
    if isinstance(fault, str):
        return f"{said}: {words.fault(fault, viewer.language)}"
    if event.event_type == "coach" and (cue := words.cue(evidence, viewer.language)) is not None:
        return f"{said}: {cue}"
    if event.event_type == "obstacle" and isinstance(distance, float):
        return f"{said} ({viewer.say('unit.metres', value=f'{distance:.1f}')})"
    return said
