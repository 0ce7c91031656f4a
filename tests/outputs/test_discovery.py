"""What Home Assistant is told: only keys that every release keeps, values as the device means them, commands as the contract wants them.

The real schemas are in the lab job (make test-homeassistant); here are its rules as a table, so that a change is caught without it.
"""

import itertools
import json
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from guardian import contract
from guardian.config import Config, ConfigError, load
from guardian.contract import BadPayload, CommandPayload, parse_command
from guardian.outputs.discovery import payloads
from guardian.verdict import State
from tests.outputs.test_mqtt import Device, command

EVERYWHERE = {
    "name", "unique_id", "device", "origin", "qos", "icon", "entity_category", "availability", "availability_mode",
    "json_attributes_topic", "json_attributes_template",
}  # fmt: skip
READS = {"state_topic", "value_template"}
ASKS = {"command_topic", "command_template"}
# component -> (keys that 2024.3.3 and today's release both keep, keys without which they refuse)
RULES: dict[str, tuple[set[str], set[str]]] = {
    "binary_sensor": (EVERYWHERE | READS | {"device_class", "expire_after", "payload_on", "payload_off"}, {"state_topic"}),
    "sensor": (
        EVERYWHERE | READS | {"device_class", "expire_after", "state_class", "unit_of_measurement", "suggested_display_precision"},
        {"state_topic"},
    ),
    "event": (EVERYWHERE | READS | {"device_class", "event_types"}, {"state_topic", "event_types"}),
    "select": (EVERYWHERE | READS | ASKS | {"options"}, {"command_topic", "options"}),
    "button": (EVERYWHERE | ASKS | {"device_class"}, {"command_topic"}),
}
NESTED = {
    "device": {"identifiers", "name", "manufacturer", "model", "sw_version"},
    "origin": {"name", "sw_version"},
    "availability": {"topic", "value_template"},
}
ALL = [
    *("binary_sensor/fall", "binary_sensor/connection", "event/alert", "binary_sensor/fault"),
    *("sensor/state", "sensor/distance", "sensor/steps", "sensor/cadence", "sensor/battery", "select/exercise"),
    *("button/ack", "button/clear", "button/locate", "button/test"),
]
STATE = {
    "v": 1, "state": "GUARDING", "posture": "upright", "alarm_id": None, "fall": "OFF", "obstacle": "CLEAR", "distance_m": 1.23,
    "exercise": "walk", "session": "ab12-1-1", "faults": [], "battery": None, "steps": 12, "cadence": 61.3, "power": "on", "uptime_s": 5.0,
    "boot": 1, "sw": "0.1.0",
}  # fmt: skip


def told(config: Config) -> dict[str, dict[str, Any]]:
    """component/object -> message."""
    found = {}
    for topic, payload in payloads(config, "0.1.0").items():
        _, component, _, object_, _ = topic.split("/")
        found[f"{component}/{object_}"] = json.loads(payload)
    return found


class HomeAssistant:
    """Renders a template as Home Assistant does: Jinja in a sandbox, the result stripped."""

    def __init__(self) -> None:
        ticks = itertools.count(1_764_000_000)
        self._jinja = ImmutableSandboxedEnvironment()
        self._jinja.filters["to_json"] = json.dumps
        self._jinja.globals["now"] = type("Now", (), {"timestamp": staticmethod(lambda: next(ticks) + 0.123456)})

    def shows(self, template: str, **state: Any) -> str:
        return self._jinja.from_string(template).render(value_json={**STATE, **state}).strip()

    def sends(self, message: dict[str, Any], value: str = "PRESS", **attributes: Any) -> CommandPayload:
        this = type("State", (), {"attributes": attributes})()
        return parse_command(self._jinja.from_string(message["command_template"]).render(value=value, this=this).strip().encode())


@pytest.fixture
def home() -> HomeAssistant:
    return HomeAssistant()


# --- what is told


def test_every_entity_of_the_design_is_told(config: Config) -> None:
    assert list(told(config)) == ALL
    assert set(payloads(config, "0.1.0")) == {f"homeassistant/{one.replace('/', '/guardian-01/')}/config" for one in ALL}


@pytest.mark.parametrize("entity", ALL)
def test_every_key_is_kept_by_every_release(config: Config, entity: str) -> None:
    message = told(config)[entity]
    allowed, required = RULES[entity.partition("/")[0]]
    assert set(message) <= allowed, "Home Assistant drops an unknown key without a word"
    assert required <= set(message)
    for key, inner in NESTED.items():
        given = message.get(key, {})
        for one in given if isinstance(given, list) else [given]:
            assert set(one) <= inner
    assert message["qos"] == 1
    assert None not in message.values()


def test_names_and_ids_are_one_each_and_every_message_names_the_same_device(config: Config) -> None:
    messages = told(config).values()
    assert len({message["unique_id"] for message in messages}) == len({message["name"] for message in messages}) == len(ALL)
    assert [message["device"]["identifiers"] for message in messages] == [["guardian_guardian-01"]] * len(ALL)
    assert {message["device"]["sw_version"] for message in messages} == {"0.1.0"}


def test_two_devices_share_no_topic_and_no_id() -> None:
    one, other = (load(local=None, overrides={"device": {"id": id_}}) for id_ in ("guardian-01", "guardian-02"))
    assert not set(payloads(one, "0")) & set(payloads(other, "0"))
    ids = [{message["unique_id"] for message in told(config).values()} for config in (one, other)]
    assert not ids[0] & ids[1]


def test_silence_is_never_safety(config: Config) -> None:
    """What is measured expires and goes with the device; a fall and an alert stay as they were."""
    messages = told(config)
    for entity, message in messages.items():
        measured = entity.startswith("sensor/") or entity == "binary_sensor/fault"
        assert message.get("expire_after") == (15 if measured else None), entity
        lasting = entity in ("binary_sensor/fall", "binary_sensor/connection", "event/alert")
        assert ("availability" in message) is not lasting, entity
    slower = load(local=None, overrides={"mqtt": {"state_s": 7.5}})
    assert told(slower)["sensor/state"]["expire_after"] == 23


def test_the_alert_knows_every_event_of_the_contract(config: Config) -> None:
    assert told(config)["event/alert"]["event_types"] == list(contract.EVENTS)


# --- what Home Assistant makes of the state


@pytest.mark.parametrize(
    ("entity", "said", "shown"),
    [
        ("binary_sensor/fall", {"fall": "ON"}, "ON"),
        ("binary_sensor/fault", {"faults": ["imu_silent"]}, "ON"),
        ("binary_sensor/fault", {"faults": []}, "OFF"),
        ("sensor/state", {"state": "FALLEN"}, "FALLEN"),
        ("sensor/distance", {"distance_m": 1.23}, "1.23"),
        ("sensor/distance", {"distance_m": None}, "None"),  # which Home Assistant shows as unknown
        ("sensor/battery", {"battery": None}, "None"),
        ("sensor/battery", {"battery": 55}, "55"),
        ("sensor/steps", {"steps": 12}, "12"),
        ("sensor/cadence", {"cadence": 61.3}, "61.3"),
        ("select/exercise", {"exercise": "stairs"}, "backward stair climbing"),
        ("select/exercise", {"exercise": "tomorrow's"}, "None"),
    ],
)
def test_the_state_is_shown(config: Config, home: HomeAssistant, entity: str, said: dict[str, Any], shown: str) -> None:
    assert home.shows(told(config)[entity]["value_template"], **said) == shown


def test_attributes_are_of_the_state_and_never_of_what_is_quiet(config: Config, home: HomeAssistant) -> None:
    """A changed attribute is a row in Home Assistant's history."""
    for entity, message in told(config).items():
        if "json_attributes_template" in message:
            shown = json.loads(home.shows(message["json_attributes_template"], alarm_id="ab12-1-9", faults=["link_down"]))
            assert shown.items() <= {**STATE, "alarm_id": "ab12-1-9", "faults": ["link_down"]}.items(), entity
            assert not set(shown) & contract.QUIET_STATE_KEYS, entity


def test_acknowledge_and_clear_can_be_pressed_while_an_alarm_is_open(config: Config, home: HomeAssistant) -> None:
    for entity in ("button/ack", "button/clear"):
        message = told(config)[entity]
        there, alarmed = message["availability"]
        assert message["availability_mode"] == "all" and there == {"topic": "guardian/guardian-01/availability"}
        assert home.shows(alarmed["value_template"], alarm_id=None) == "offline"
        assert home.shows(alarmed["value_template"], alarm_id="ab12-1-9") == "online"


# --- what Home Assistant asks


@pytest.mark.parametrize(("entity", "cmd"), [(f"button/{cmd}", cmd) for cmd in ("ack", "clear", "locate", "test")])
def test_each_press_is_a_command_of_its_own(config: Config, home: HomeAssistant, entity: str, cmd: str) -> None:
    message = told(config)[entity]
    first, second = (home.sends(message, alarm_id="ab12-1-9") for _ in range(2))
    assert first.cmd == second.cmd == cmd and first.id != second.id
    assert first.for_ == ("ab12-1-9" if cmd in ("ack", "clear") else None)
    assert message["command_topic"] == "guardian/guardian-01/command"


def test_an_acknowledgement_of_nothing_names_nothing(config: Config, home: HomeAssistant) -> None:
    assert home.sends(told(config)["button/ack"]).for_ is None


def test_every_exercise_can_be_chosen_and_is_shown_as_it_was_chosen(config: Config, home: HomeAssistant) -> None:
    message = told(config)["select/exercise"]
    for name, exercise in config.exercises.items():
        assert exercise.label in message["options"]
        assert home.sends(message, value=exercise.label).value == name
        assert home.shows(message["value_template"], exercise=name) == exercise.label


@pytest.mark.parametrize(
    "label", ['say "go"', "it's", "rückwärts", "50 % }} {% if %}", "back\\slash", "🚶 {{ now() }}", "{# no #}", "a\tb"]
)
def test_whatever_an_exercise_is_called(home: HomeAssistant, label: str) -> None:
    message = told(load(local=None, overrides={"exercises": {"walk": {"label": label}}}))["select/exercise"]
    assert message["options"][0] == label
    assert home.shows(message["value_template"], exercise="walk") == label
    assert home.sends(message, value=label).value == "walk"


@pytest.mark.parametrize(
    ("key", "overrides"),
    [
        ("discovery_prefix", {"mqtt": {"discovery_prefix": "home/+"}}),
        ("discovery_prefix", {"mqtt": {"discovery_prefix": ""}}),
        ("discovery", {"mqtt": {"discovery": "yes"}}),
        ("label", {"exercises": {"walk": {"label": " walk"}}}),
        ("share a label", {"exercises": {"walk": {"label": "treadmill"}}}),
    ],
)
def test_what_home_assistant_could_not_use_is_refused_at_start(key: str, overrides: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=key):
        load(local=None, overrides=overrides)


# --- when it is told


def introduced(device: Device) -> list[str]:
    return [message.topic for message in device.link.broker if message.topic.endswith("/config")]


def test_on_connecting_everything_is_told_and_kept(config: Config) -> None:
    device = Device(config)
    device.run(2)
    assert {topic: device.link.retained[topic] for topic in introduced(device)} == payloads(config, "0.1.0")
    assert len(introduced(device)) == len(ALL)


def test_and_again_after_a_lost_connection_and_when_home_assistant_has_started(config: Config) -> None:
    device = Device(config)
    device.run(2)
    device.link.broker_crash()
    device.run(4)
    assert len(introduced(device)) == 2 * len(ALL)
    device.link.home_assistant_starts()
    device.run(2)
    assert len(introduced(device)) == 3 * len(ALL)
    assert device.mqtt.ignored == 0


def test_an_alarm_never_waits_for_it(config: Config) -> None:
    """Forty at once, while the device introduces itself: eight are on their way at any time, and beside them one introduction."""
    device = Device(config)
    device.run(0.2)
    before = len(introduced(device))
    assert 0 < before < len(ALL)
    device.link.receipts = False
    ids = [device.raises("coach") for _ in range(40)]
    device.run(1)
    assert [event["id"] for event in device.link.events()] == ids
    between = [message.topic.rsplit("/", 1)[1] for message in device.link.broker]
    assert between.index("event") < between.index("config") + before + 2
    device.run(2)
    assert len(introduced(device)) == len(ALL)


def test_with_acknowledgements_lost_one_is_in_flight_and_later_all_are_told_anew(config: Config) -> None:
    device = Device(config)
    device.run(0.3)
    device.link.pubacks = False
    device.run(5)
    before = len(introduced(device))
    device.run(2)
    assert len(introduced(device)) == before < len(ALL), "the next one waits"
    device.link.pubacks = True
    device.run(2 * config.outbox.repeat_s)
    assert introduced(device)[before:] == list(payloads(config, "0.1.0"))


def test_switched_off_home_assistant_is_told_nothing() -> None:
    device = Device(load(local=None, overrides={"mqtt": {"discovery": False}}))
    device.run(2)
    device.link.home_assistant_starts()
    device.run(2)
    assert introduced(device) == [] and device.link.availability == "online"


# --- the commands that Home Assistant's entities send


def test_an_exercise_cannot_be_changed_in_an_alarm_and_that_is_counted(config: Config) -> None:
    device = Device(config)
    device.run(0.2)
    for state in (State.IMMINENT, State.DOWN, State.FALLEN):
        device.so(state=state)
        device.link.command(command("exercise", f"c-{state}", value="run"))
        device.run(0.1)
    assert device.mqtt.commands() == () and device.mqtt.ignored == 3
    device.so(state=State.GUARDING)
    device.link.command(command("exercise", "c-later", value="run"))
    device.run(0.1)
    assert [asked.value for asked in device.mqtt.commands()] == ["run"]


def test_a_template_that_went_wrong_is_no_command() -> None:
    with pytest.raises(BadPayload):
        parse_command(b"{'v': 1, 'cmd': 'ack'}")
