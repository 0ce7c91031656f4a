"""How a wearer is, as the pages say it: a tone, a sign and words for each status, and the notes beside it. Tables, complete by test."""

from msgspec import Struct

from guardian.contract import Severity
from guardian.station import words
from guardian.station.live import LOOK, Contact, Picture, Status
from guardian.station.pages.viewer import Viewer

# status -> (tone of look.css, sign of Material Icons). What is not known looks different from what is well, and from what is off.
STATUSES: dict[Status, tuple[str, str]] = {
    "fall": ("alarm", "personal_injury"),
    "long_lie": ("alarm", "personal_injury"),
    "sos": ("alarm", "sos"),
    "fallen": ("alarm", "personal_injury"),
    "lost_alarm": ("alarm", "signal_wifi_statusbar_connected_no_internet_4"),
    "switched_off_alarm": ("alarm", "power_off"),
    "down": ("alarm", "priority_high"),
    "imminent": ("alarm", "priority_high"),
    "acknowledged": ("warn", "directions_run"),
    "lost": ("unsure", "wifi_off"),
    "stale": ("unsure", "signal_wifi_bad"),
    "not_guarding": ("warn", "remove_moderator"),
    "unknown": ("unsure", "question_mark"),
    "settling": ("quiet", "hourglass_top"),
    "walking": ("well", "directions_walk"),
    "guarding": ("well", "verified_user"),
    "off": ("quiet", "pause"),
    "switched_off": ("quiet", "power_settings_new"),
    "never": ("unsure", "radio_button_unchecked"),
}
CONTACTS: dict[Contact, str] = {
    "live": "wifi",
    "stale": "signal_wifi_bad",
    "lost": "wifi_off",
    "switched_off": "power_settings_new",
    "never": "radio_button_unchecked",
}
SEVERITIES: dict[Severity, tuple[str, str]] = {
    "critical": ("alarm", "notifications_active"),
    "warning": ("warn", "warning_amber"),
    "info": ("quiet", "info_outline"),
}
# event type -> sign, where the severity's own says too little
EVENTS: dict[str, str] = {
    "fall": "personal_injury",
    "long_lie": "personal_injury",
    "sos": "sos",
    "session_started": "play_arrow",
    "session_ended": "stop",
    "guarding": "verified_user",
    "cancelled": "thumb_up",
    "cleared": "task_alt",
    "acknowledged": "directions_run",
    "fault_cleared": "build",
    "fault": "build",
    "battery_low": "battery_alert",
    "exercise_changed": "swap_horiz",
    "test": "check",
}


class Note(Struct, frozen=True):
    """One thing beside the status: a sign and words."""

    sign: str
    text: str


def tone_of(picture: Picture) -> str:
    """The tone of a wearer's card."""
    tone = STATUSES[picture.status][0]
    return "warn" if picture.urgency == LOOK and tone in ("well", "quiet") else tone


def status_of(viewer: Viewer, picture: Picture) -> Note:
    """How a wearer is, in one line; what makes somebody look who is otherwise well comes first."""
    tone, sign = STATUSES[picture.status]
    said = viewer.say(f"status.{picture.status}")
    reasons = [*warnings_of(viewer, picture), *([battery_of(viewer, picture)] if picture.battery_low else [])]
    if picture.urgency == LOOK and tone in ("well", "quiet") and reasons:
        return Note(reasons[0].sign, viewer.say("status.but", status=said, but=reasons[0].text))
    return Note(sign, said)


def contact_of(viewer: Viewer, picture: Picture) -> Note:
    """Whether we hear the device, and since when not."""
    since = picture.heard_at or picture.silent_since
    key = picture.contact if picture.contact in ("live", "never") else "silent" if since else "unknown"
    return Note(CONTACTS[picture.contact], viewer.say(f"contact.{key}", ago=viewer.ago(since)))


def battery_of(viewer: Viewer, picture: Picture) -> Note:
    """How full, or that it is not known."""
    if picture.battery_low:
        key = "battery.low_unmeasured" if picture.battery is None else "battery.low"
        return Note("battery_alert", viewer.say(key, percent=picture.battery))
    if picture.battery is None:
        return Note("battery_unknown", viewer.say("battery.unknown"))
    return Note("battery_full" if picture.battery > 60 else "battery_4_bar", viewer.say("battery.level", percent=picture.battery))


def warnings_of(viewer: Viewer, picture: Picture) -> list[Note]:
    """What is not as it should be, of a device that we hear."""
    state = picture.state
    if state is None or picture.contact not in ("live", "stale"):
        return []
    notes = []
    if state.posture == "down":
        notes.append(Note("airline_seat_flat", viewer.say("note.down_posture")))
    if state.posture == "unknown" and state.session is not None:
        notes.append(Note("question_mark", viewer.say("note.posture_unknown")))
    if state.faults:
        notes.append(Note("build", viewer.say("note.faults")))
    return notes


def notes_of(viewer: Viewer, picture: Picture) -> list[Note]:
    """All that stands beside the status on a small card."""
    notes = [contact_of(viewer, picture), *warnings_of(viewer, picture)]
    if picture.in_session and picture.state is not None:
        notes.append(Note("fitness_center", words.exercise(picture.state.exercise, viewer.language)))
    elif picture.session_today is False:
        notes.append(Note("event_busy", viewer.say("note.no_session_today")))
    if picture.contact != "never":
        notes.append(battery_of(viewer, picture))
    status = status_of(viewer, picture)
    return [note for note in notes if note.text not in status.text]
