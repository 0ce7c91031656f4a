"""What a push says: who, what, when, and what to do about it, in the language of the one who reads it, perhaps at night and far away."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from guardian.contract import Severity
from guardian.station import words
from guardian.station.alarms import Answer
from guardian.station.payloads import kept_state
from guardian.station.tables import Event, Last, PushJob
from guardian.station.words import Language, say

STATUS = {
    "OFF": "status.off",
    "SETTLING": "status.settling",
    "GUARDING": "status.guarding",
    "IMMINENT": "status.imminent",
    "DOWN": "status.down",
    "FALLEN": "status.fallen",
}
SINCE = "%Y%m%dT%H%M%S.%fZ"  # in an episode's id


class Message(Struct, frozen=True):
    """What is sent."""

    title: str
    body: str
    severity: Severity


class Case(Struct, frozen=True):
    """All that is known about what a job tells, when it is sent. `answer`: whether somebody has seen to it by now."""

    job: PushJob
    name: str
    event: Event | None = None
    alarm_id: str | None = None
    answer: Answer | None = None
    last: Last | None = None
    page: str = ""


def episode_id(kind: str, device: str, since: datetime) -> str:
    """The id of a silence that began then."""
    return f"{kind}:{device}:{since.astimezone(UTC).strftime(SINCE)}"


def since_of(episode: str) -> datetime:
    """When the silence of this id began."""
    return datetime.strptime(episode.rsplit(":", 1)[1], SINCE).replace(tzinfo=UTC)


def compose(case: Case, language: Language, now: datetime) -> Message:
    """The message of a job."""
    job = case.job
    what, lines = _TELL[job.kind](case, language, now)
    key = "push.plain" if job.severity != "critical" else "push.alarm" if job.step == 0 else "push.again"
    title = what if job.kind in ("blind", "seeing") else say(key, language, name=case.name, what=what, count=job.step + 1)
    if case.page:
        lines.append(say("push.page", language, address=case.page))
    told = case.event.id if case.event is not None and job.kind == "event" else None
    if case.alarm_id and told not in (None, case.alarm_id):
        lines.append(say("push.id_of", language, id=case.alarm_id, event=told))
    elif case.alarm_id:
        lines.append(say("push.id", language, id=case.alarm_id))
    return Message(title, "\n".join(lines), _severity(job.severity))


def trial_message(name: str, language: Language) -> Message:
    """What `guardian station test-push` sends: as loud as an alarm, because that is what is tested."""
    return Message(say("push.test", language, name=name), say("push.test_why", language, name=name), "critical")


def _severity(severity: str) -> Severity:
    return severity if severity in ("critical", "info") else "warning"  # type: ignore[return-value]


def _of_event(case: Case, language: Language, now: datetime) -> tuple[str, list[str]]:
    event = case.event
    if event is None:
        return say("severity.critical", language), []
    lines = [_when(event, language, now)]
    fault = msgspec.json.decode(event.evidence_json).get("fault")
    if isinstance(fault, str):
        lines.append(say("push.fault", language, fault=words.fault(fault, language)))
    elif event.exercise:
        lines.append(say("push.during", language, exercise=words.exercise(event.exercise, language)))
    if case.job.severity == "critical":
        lines.append(say(f"push.answered.{case.answer}" if case.answer else "push.nobody_yet", language))
        if not case.answer:
            lines.append(say("push.do", language, name=case.name))
    return words.event(event.event_type, language), lines


def _of_over(case: Case, language: Language, now: datetime) -> tuple[str, list[str]]:
    how = "acknowledged" if case.event is not None and case.event.event_type == "acknowledged" else "closed"
    lines = [say(f"push.over.{how}_why", language, name=case.name)]
    if case.event is not None:
        lines.append(_when(case.event, language, now))
    return say(f"push.over.{how}", language), lines


def _of_lost(case: Case, language: Language, now: datetime) -> tuple[str, list[str]]:
    last, alarm = case.last, case.job.severity == "critical"
    heard = last.state_at if last else None
    if heard is None:
        lines = [say("push.last_word_unknown", language, status=_status(last, language))]
    else:
        ago = words.ago((now - heard).total_seconds(), language)
        lines = [say("push.last_word", language, at=words.at(heard, language), ago=ago, status=_status(last, language))]
    lines.append(say("push.do" if alarm and not case.answer else "push.lost_do", language, name=case.name))
    if alarm and case.answer:
        lines.append(say(f"push.answered.{case.answer}", language))
    if alarm:
        off = kept_state(last.state_json if last else None)
        return say("status.switched_off_alarm" if off is not None and off.power == "off" else "status.lost_alarm", language), lines
    return say("status.lost", language), lines


def _of_back(case: Case, language: Language, now: datetime) -> tuple[str, list[str]]:
    since, state = since_of(str(case.job.event_id)), kept_state(case.last.state_json if case.last else None)
    span = words.duration((now - since).total_seconds(), language)
    why = say("push.back_why", language, duration=span, at=words.at(since, language), status=_status(case.last, language))
    off = state is not None and state.power == "off"
    return say("push.back_off" if off else "push.back", language), [why]


def _of_not_worn(case: Case, language: Language, now: datetime) -> tuple[str, list[str]]:
    lines = [say("push.not_worn_why", language, name=case.name)]
    return say("push.not_worn", language), lines + ([_when(case.event, language, now)] if case.event else [])


def _of_blind(case: Case, language: Language, now: datetime) -> tuple[str, list[str]]:
    return say("push.blind", language), [say("blind.broker", language)]


def _of_seeing(case: Case, language: Language, now: datetime) -> tuple[str, list[str]]:
    since = since_of(str(case.job.event_id))
    span = words.duration((now - since).total_seconds(), language)
    return say("push.seeing", language), [say("push.seeing_why", language, duration=span, at=words.at(since, language))]


_TELL = {
    "event": _of_event,
    "over": _of_over,
    "lost": _of_lost,
    "back": _of_back,
    "not_worn": _of_not_worn,
    "blind": _of_blind,
    "seeing": _of_seeing,
}


def _when(event: Event, language: Language, now: datetime) -> str:
    """By the device's clock; if that was not set, only when it was heard is known."""
    moment = event.at if event.t is not None else event.received_at
    key = "push.when" if event.t is not None else "push.when_unknown"
    return say(key, language, at=words.at(moment, language), ago=words.ago((now - moment).total_seconds(), language))


def _status(last: Last | None, language: Language) -> str:
    state = kept_state(last.state_json if last else None)
    return say(STATUS.get(str(state.state), "status.unknown") if state else "status.unknown", language)
