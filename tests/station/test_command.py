"""What a caregiver says reaches the device, and it is said honestly when it does not."""

from collections.abc import Callable
from typing import Any

import pytest

from guardian.contract import BadPayload
from guardian.station.command import Command
from lab.durability import Broker
from tests.station.ward import Device, Ward, soon


@pytest.fixture
def command(ward: Ward) -> Command:
    return Command(ward.intake.line, ward.store, ward.live, "guardian", ward.clock)


def test_an_acknowledgement_is_kept_and_heard(ward: Ward, device: Device, command: Command) -> None:
    device.says(state="FALLEN", fall="ON", alarm_id="a-1-2")
    device.tells(2, "sos")
    ward.sees("guardian-01", lambda one: one.status == "sos")
    sent = command.ack("guardian-01", "a-1-2", "keeper")
    assert (sent.trouble, sent.stored) == ("", True)
    told = soon(lambda: device.commands)
    assert [(one["cmd"], one["id"], one["for"], one["v"]) for one in told] == [("ack", sent.id, "a-1-2", 1)]
    ward.sees("guardian-01", lambda one: one.alarm and one.alarm.acknowledged_by == "keeper" and one.alarm.heard_at is None)
    device.tells(3, "acknowledged", evidence={"command": sent.id})
    ward.sees("guardian-01", lambda one: one.alarm and one.alarm.heard_at)


def test_each_press_is_a_command_of_its_own(device: Device, command: Command) -> None:
    first, second = command.locate("guardian-01"), command.locate("guardian-01")
    soon(lambda: len(device.commands) == 2)
    assert first.id != second.id == device.commands[1]["id"]
    command.exercise("guardian-01", "stairs")
    command.clear("guardian-01", "a-1-2")
    command.test("guardian-01")
    soon(lambda: [one["cmd"] for one in device.commands[2:]] == ["exercise", "clear", "test"])
    assert device.commands[2]["value"] == "stairs" and device.commands[3]["for"] == "a-1-2"


def test_nobody_there_and_no_broker_are_said(ward: Ward, broker: Broker, command: Command) -> None:
    assert "not connected" in command.locate("guardian-77").trouble
    broker.kill()
    soon(lambda: ward.intake.line.listening_since is None)
    sent = command.ack("guardian-77", "a-1-2", "keeper")
    assert "no connection to the broker" in sent.trouble and sent.stored, "and yet nobody else need be called"
    assert ward.store.ack("a-1-2") is not None


def test_a_command_given_without_a_broker_is_not_sent_later(ward: Ward, broker: Broker, device: Device, command: Command) -> None:
    broker.kill()
    soon(lambda: ward.intake.line.listening_since is None)
    assert command.locate("guardian-01").trouble
    broker.start()
    soon(lambda: ward.intake.line.listening_since)
    soon(lambda: device.client.is_connected())  # noqa: PLW0108  (asked each time)
    soon(lambda: command.test("guardian-01").trouble == "")
    soon(lambda: device.commands)
    assert {one["cmd"] for one in device.commands} == {"test"}


@pytest.mark.parametrize(
    "said",
    [
        lambda command: command.locate("guardian-01/x"),
        lambda command: command.locate("#"),
        lambda command: command.ack("guardian-01", "a b", "keeper"),
        lambda command: command.exercise("guardian-01", "x" * 33),
    ],
)
def test_what_no_device_would_understand_is_not_sent(command: Command, said: Callable[[Command], Any]) -> None:
    with pytest.raises(BadPayload):
        said(command)
