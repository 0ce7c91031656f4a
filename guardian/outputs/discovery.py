"""What Home Assistant is told about this device: one retained message an entity, understood by every release since 2023.8.

Theory of operation. ENTITIES are rows of Home Assistant's own keys; the loop in `payloads` adds what all share. Home Assistant drops a
key that a component does not know without a word, so tests/outputs/test_discovery.py holds each row to what every release keeps:
`object_id` and `default_entity_id` are known to some releases only, and are not used. Entity ids follow from the names.

Silence is never safety: what is measured expires when the heartbeat stops, and is unavailable when the broker has spoken the last will.
A fall is not measured again and again: it keeps its last value, and has neither. Nor has the alert: an event entity that comes back from
"unavailable" looks to an automation like a new event.

A press must be a command of its own, and an acknowledgement must name its alarm. So a button's template takes the time as the id, and
the alarm from an attribute of the button itself (`this`), which follows the state: nothing depends on what an entity is called. Without
an open alarm acknowledge and clear are unavailable.
"""

import json
from math import ceil

import msgspec
from msgspec import Struct

from guardian import contract
from guardian.config import Config, Mqtt
from guardian.contract import CommandName, Topics

EXPIRE_STATES = 3  # heartbeats missed until a value is "unavailable": 15 s at the usual 5 s

Template = str  # Jinja, run by Home Assistant


class Availability(Struct, frozen=True, omit_defaults=True):
    """One of the topics that must say "online"."""

    topic: str
    value_template: Template | None = None


class Entity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entity, in Home Assistant's keys; None is left out."""

    name: str
    state_topic: str | None = None
    value_template: Template | None = None
    payload_on: str | None = None
    payload_off: str | None = None
    event_types: tuple[str, ...] | None = None
    options: tuple[str, ...] | None = None
    command_topic: str | None = None
    command_template: Template | None = None
    json_attributes_topic: str | None = None
    json_attributes_template: Template | None = None
    device_class: str | None = None
    unit_of_measurement: str | None = None
    state_class: str | None = None
    suggested_display_precision: int | None = None
    expire_after: int | None = None
    entity_category: str | None = None
    icon: str | None = None
    availability: tuple[Availability, ...] | None = None
    availability_mode: str | None = None


class Shared(Struct, frozen=True):
    """What the device says in each of them. Home Assistant's own default QoS is 0."""

    unique_id: str
    device: dict[str, object]
    origin: dict[str, str]
    qos: int = 1


def birth_topic(mqtt: Mqtt) -> str:
    """Where Home Assistant says "online" when it has started, and wants to be told again."""
    return f"{mqtt.discovery_prefix}/status"


def payloads(config: Config, sw: str) -> dict[str, bytes]:
    """Topic -> retained payload (JSON), of all entities, in the order in which a person would read them. `sw`: this software's version."""
    id_, root = config.device.id, config.mqtt.root
    about: dict[str, object] = {"identifiers": [f"{root}_{id_}"], "name": id_, "manufacturer": "guardian", "model": "waist unit"}
    told = {}
    for (component, object_), entity in entities(config).items():
        shared = Shared(f"{root}_{id_}_{object_}", about | {"sw_version": sw}, {"name": "guardian", "sw_version": sw})
        message = msgspec.to_builtins(entity) | msgspec.to_builtins(shared)
        told[f"{config.mqtt.discovery_prefix}/{component}/{id_}/{object_}/config"] = msgspec.json.encode(message)
    return told


def entities(config: Config) -> dict[tuple[str, str], Entity]:
    """(component, object) -> row."""
    topics = Topics(config.mqtt.root, config.device.id)
    state, command = topics.state, topics.command
    expire_s = ceil(EXPIRE_STATES * config.mqtt.state_s)
    there = (Availability(topics.availability),)
    alarmed = (*there, Availability(state, "{{ 'online' if value_json.alarm_id else 'offline' }}"))
    labels = {name: exercise.label for name, exercise in config.exercises.items()}
    return {
        ("binary_sensor", "fall"): Entity(name="Fall", device_class="safety", state_topic=state, value_template="{{ value_json.fall }}"),
        ("binary_sensor", "connection"): Entity(
            name="Connection",
            device_class="connectivity",
            state_topic=topics.availability,
            payload_on="online",
            payload_off="offline",
            json_attributes_topic=state,  # power: off tells "switched off" apart from "lost"
            json_attributes_template=_attributes("power"),
        ),
        ("event", "alert"): Entity(name="Alert", icon="mdi:bell-alert", state_topic=topics.event, event_types=tuple(contract.EVENTS)),
        ("binary_sensor", "fault"): Entity(
            name="Fault",
            device_class="problem",
            state_topic=state,
            value_template="{{ 'ON' if value_json.faults else 'OFF' }}",
            json_attributes_topic=state,
            json_attributes_template=_attributes("faults"),
            expire_after=expire_s,
            availability=there,
        ),
        ("sensor", "state"): Entity(
            name="State",
            icon="mdi:shield-account",
            state_topic=state,
            value_template="{{ value_json.state }}",
            json_attributes_topic=state,
            json_attributes_template=_attributes("posture", "obstacle", "alarm_id", "session"),
            expire_after=expire_s,
            availability=there,
        ),
        ("sensor", "distance"): Entity(
            name="Distance behind",
            device_class="distance",
            unit_of_measurement="m",
            state_class="measurement",
            suggested_display_precision=2,
            state_topic=state,
            value_template="{{ value_json.distance_m }}",
            expire_after=expire_s,
            availability=there,
        ),
        ("sensor", "steps"): Entity(
            name="Steps",
            icon="mdi:shoe-print",
            unit_of_measurement="steps",
            state_class="total_increasing",  # each session begins at 0
            state_topic=state,
            value_template="{{ value_json.steps }}",
            expire_after=expire_s,
            availability=there,
        ),
        ("sensor", "cadence"): Entity(
            name="Cadence",
            icon="mdi:metronome",
            unit_of_measurement="steps/min",
            state_class="measurement",
            state_topic=state,
            value_template="{{ value_json.cadence }}",
            expire_after=expire_s,
            availability=there,
        ),
        ("sensor", "battery"): Entity(
            name="Battery",
            device_class="battery",
            unit_of_measurement="%",
            state_class="measurement",
            entity_category="diagnostic",
            state_topic=state,
            value_template="{{ value_json.battery }}",
            expire_after=expire_s,
            availability=there,
        ),
        ("select", "exercise"): Entity(
            name="Exercise",
            icon="mdi:walk",
            options=tuple(labels.values()),
            state_topic=state,
            value_template=f"{{{{ {_literal(labels)}.get(value_json.exercise) }}}}",
            command_topic=command,
            command_template=_asks("exercise", value=f"{_literal({label: name for name, label in labels.items()})}.get(value)"),
            availability=there,
        ),
        ("button", "ack"): Entity(
            name="Acknowledge",
            icon="mdi:hand-heart",
            command_topic=command,
            command_template=_asks("ack", for_="this.attributes.get('alarm_id')"),
            json_attributes_topic=state,
            json_attributes_template=_attributes("alarm_id"),
            availability=alarmed,
            availability_mode="all",
        ),
        ("button", "clear"): Entity(
            name="Clear alarm",
            icon="mdi:bell-off",
            command_topic=command,
            command_template=_asks("clear", for_="this.attributes.get('alarm_id')"),
            json_attributes_topic=state,
            json_attributes_template=_attributes("alarm_id"),
            availability=alarmed,
            availability_mode="all",
        ),
        ("button", "locate"): Entity(
            name="Locate",
            device_class="identify",
            command_topic=command,
            command_template=_asks("locate"),
            availability=there,
        ),
        ("button", "test"): Entity(
            name="Test",
            icon="mdi:bell-check",
            entity_category="diagnostic",
            command_topic=command,
            command_template=_asks("test"),
            availability=there,
        ),
    }


def _asks(cmd: CommandName, **fields: str) -> Template:
    """A command as JSON, its id fresh at each press. `fields`: key (a trailing _ is dropped) -> expression."""
    pairs = [f"'v': {contract.VERSION}", f"'cmd': '{cmd}'", "'id': 'ha-' ~ now().timestamp()"]
    pairs += [f"'{key.rstrip('_')}': {expression}" for key, expression in fields.items()]
    return f"{{{{ {{{', '.join(pairs)}}} | to_json }}}}"


def _attributes(*keys: str) -> Template:
    """These keys of the state, and no other: each attribute that changes is a row in Home Assistant's history."""
    return f"{{{{ {{{', '.join(f'{key!r}: value_json.{key}' for key in keys)}}} | to_json }}}}"


def _literal(words: dict[str, str]) -> str:
    """A dictionary of strings as Jinja reads it."""
    return json.dumps(words, ensure_ascii=False)
