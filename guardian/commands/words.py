"""What happened, in a person's words: the event types of the contract as a caregiver reads them."""

from guardian.contract import EVENTS, Severity
from guardian.verdict import Event, Evidence

TEXTS: dict[str, str] = {
    "fall": "has fallen, and did not cancel",
    "long_lie": "still lies on the floor",
    "sos": "asks for help (SOS)",
    "fall_suspected": "may have fallen; the countdown runs",
    "imminent_fall": "is falling",
    "obstacle": "is close to what is behind, or to the belt's end",
    "not_guarding": "is not guarded now",
    "not_worn": "has put the guardian down",
    "fault": "a part of the guardian does not work",
    "battery_low": "the guardian's battery is low",
    "near_fall": "nearly fell, and recovered",
    "session_started": "begins a session",
    "session_ended": "has ended the session",
    "guarding": "is guarded again",
    "cancelled": "is all right: alarm cancelled",
    "cleared": "alarm cleared",
    "acknowledged": "knows that help is coming",
    "fault_cleared": "a fault is gone",
    "exercise_changed": "does another exercise",
    "coach": "was given a cue",
    "test": "test message: the way to you works",
}

STYLES: dict[Severity, str] = {"critical": "bold white on red", "warning": "yellow", "info": "green"}


def severity_of(event_type: str) -> Severity:
    """The contract's; an unknown event type is a warning."""
    return EVENTS.get(event_type, "warning")


def style_of(event_type: str) -> str:
    """How an event is coloured."""
    return STYLES[severity_of(event_type)]


def text_of(event_type: str) -> str:
    """An event type in words; an unknown one as it is written."""
    return TEXTS.get(event_type, event_type.replace("_", " "))


def evidence_of(evidence: Evidence) -> str:
    """Evidence in one line, floats to 3 significant digits."""
    return ", ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in evidence.items())


def line_of(event: Event) -> str:
    """One event, in words with its evidence."""
    evidence = evidence_of(event.evidence)
    return f"{text_of(event.event_type)}{f' ({evidence})' if evidence else ''}"
