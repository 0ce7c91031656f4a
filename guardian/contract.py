"""The contract with caregivers: names, topics, fields, severities, once. Both ends of the link import this file.

A device publishes under `<root>/<id>/`; times in payloads are seconds, distances metres. Every payload carries `v`.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

VERSION = 1

Severity = Literal["critical", "warning", "info"]

# event_type -> severity. Critical ones are pushed to a phone and leave the outbox on a receipt only.
EVENTS: dict[str, Severity] = {
    "fall": "critical",
    "long_lie": "critical",
    "sos": "critical",
    "fall_suspected": "warning",  # shown at once, not pushed: the wearer may still cancel
    "imminent_fall": "warning",
    "obstacle": "warning",
    "not_guarding": "warning",
    "not_worn": "warning",
    "fault": "warning",
    "battery_low": "warning",
    "near_fall": "warning",
    "session_started": "info",
    "session_ended": "info",
    "guarding": "info",
    "cancelled": "info",
    "cleared": "info",
    "acknowledged": "info",
    "fault_cleared": "info",
    "exercise_changed": "info",
    "coach": "info",
    "test": "info",
}

# fault -> what a person can do about it. The order is the order in which they are told.
FAULTS: dict[str, str] = {
    "imu_silent": "no motion data: check the IMU's four wires (SDA pin 3, SCL pin 5, 3V3, GND)",
    "imu_stuck": "one motion axis is frozen: power-cycle; if it stays, replace the IMU",
    "imu_scale": "at rest the IMU does not read 1 g or turns: check imu.chip in guardian.toml, then recalibrate",
    "imu_saturated": "the IMU is at full scale for long: it is loose on the belt, or broken",
    "bus_hung": "the I2C bus does not answer: check SDA (pin 3) and SCL (pin 5) for a short",
    "echo_silent": "the ranger driver gives no ping: check the trigger wire (GPIO of ranger.trigger_pin)",
    "echo_stuck_high": "the ranger's echo line stays high: check the divider and the echo wire",
    "echo_stuck_low": "the ranger never answers: check its 5 V, trigger and echo wires",
    "button_stuck": "the button is held for long: free it, or check its wire to ground",
    "loop_late": "the computer cannot keep up: look for another busy program",
    "output_failed": "an output failed (its name is in the detail): see the log",
    "disk_full": "no space for alarms and recordings: free some, or run guardian erase",
    "link_down": "no connection to the MQTT broker: check Wi-Fi and mqtt.host",
    "nobody_listening": "the broker has no subscriber for alarms: start the caregiver's program",
    "event_refused": "the broker refused an event: check the device's user and ACL",
    "clock_unsynced": "the clock is not set yet: events carry no time until it is",
    "supply_low": "battery low or undervoltage: charge it, or use a better cable",
}

STATE_KEYS = (
    "v", "state", "posture", "alarm_id", "fall", "obstacle", "distance_m", "exercise", "session", "faults",
    "battery", "steps", "cadence", "power", "uptime_s", "boot", "sw",
)  # fmt: skip
QUIET_STATE_KEYS = frozenset({"distance_m", "steps", "cadence", "battery", "uptime_s"})  # their change alone publishes nothing
EVENT_KEYS = ("v", "id", "boot", "seq", "event_type", "severity", "t", "uptime_s", "exercise", "evidence")

# session_ended's evidence, all scalar; units stand in the names. Means are over the time of walking (lunge_depth_m: over lunges).
# Absent: what was never known, and from `unit` on all of an exercise without a coach. `unit`: s or m walked backward, stairs, reps of
# each leg; `dose` is of one set, `done` of all.
SUMMARY_KEYS = (
    "reason", "session", "duration_s", "walking_s", "steps", "distance_m", "stairs", "lunges_left", "lunges_right",
    "cautions", "stops", "warnings", "near_falls", "alarms",
    "cadence", "speed_m_s", "regularity", "symmetry", "lean_deg", "sway_deg", "lunge_depth_m",
    "unit", "dose", "done", "sets", "sets_done", "phase",
)  # fmt: skip

NOBODY = 16  # reason code of a PUBACK, MQTT 5, 3.4.2.1: no matching subscribers
REFUSED = 0x80  # a reason code from here on is a failure (MQTT 5, 2.4)

CommandName = Literal["ack", "clear", "exercise", "locate", "test"]
MAX_COMMAND_BYTES = 1024

T = TypeVar("T")


class Topics(Struct, frozen=True):
    """The topics of one device."""

    root: str
    device: str

    def _of(self, leaf: str) -> str:
        return f"{self.root}/{self.device}/{leaf}"

    @property
    def availability(self) -> str:
        """Retained, last will: online or offline."""
        return self._of("availability")

    @property
    def state(self) -> str:
        """Retained JSON of STATE_KEYS."""
        return self._of("state")

    @property
    def event(self) -> str:
        """JSON of EVENT_KEYS, QoS 1, not retained."""
        return self._of("event")

    @property
    def receipt(self) -> str:
        """{"id"}: a receiver has stored that event."""
        return self._of("receipt")

    @property
    def command(self) -> str:
        """CommandPayload, QoS 1, never retained."""
        return self._of("command")


Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+\Z")]


class CommandPayload(Struct, frozen=True, rename={"for_": "for"}):
    """What a caregiver may send. Unknown keys are ignored, so that newer callers work with older devices."""

    v: Literal[1]
    cmd: CommandName
    id: Id
    for_: Id | None = None
    value: Annotated[str, Meta(max_length=32)] | None = None


class ReceiptPayload(Struct, frozen=True):
    """A receiver's word that it has stored an event."""

    id: Id


class BadPayload(ValueError):
    """A payload from the broker is not what the contract says; the message says why."""


_commands = msgspec.json.Decoder(CommandPayload)
_receipts = msgspec.json.Decoder(ReceiptPayload)


def parse_command(payload: bytes) -> CommandPayload:
    """The command in a payload. Raises BadPayload for anything else: too long, not JSON, wrong types, unknown command."""
    return _parse(_commands, payload)


def parse_receipt(payload: bytes) -> ReceiptPayload:
    """The receipt in a payload. Raises BadPayload for anything else."""
    return _parse(_receipts, payload)


def _parse(decoder: "msgspec.json.Decoder[T]", payload: bytes) -> T:
    if len(payload) > MAX_COMMAND_BYTES:
        raise BadPayload(f"{len(payload)} bytes; at most {MAX_COMMAND_BYTES} are read")
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload(str(error)) from error
