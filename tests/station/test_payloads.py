"""What a device may say, byte by byte: everything else is refused, and nothing that is refused raises anything but BadPayload."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian import contract
from guardian.contract import BadPayload
from guardian.station.payloads import EventPayload, StatePayload, parse_availability, parse_event, parse_state, parse_topic
from tests.station.ward import event, state


def test_payloads_have_the_contracts_keys_and_no_others() -> None:
    assert StatePayload.__struct_fields__ == contract.STATE_KEYS
    assert EventPayload.__struct_fields__ == contract.EVENT_KEYS
    assert tuple(state()) == contract.STATE_KEYS
    assert tuple(event(1)) == contract.EVENT_KEYS


def test_a_newer_devices_unknown_keys_do_no_harm() -> None:
    assert parse_state(msgspec.json.encode({**state(), "pulse": 72})).steps == 12
    assert parse_event(msgspec.json.encode({**event(4), "v": 2, "place": {"x": [1]}})).seq == 4


def test_a_key_that_nobody_knows_must_be_text_too() -> None:
    told = msgspec.json.encode({**state(), "pulse": "fast"}).replace(b"fast", b"fa\xed\x01")
    with pytest.raises(BadPayload, match="utf-8"):
        parse_state(told)


@pytest.mark.parametrize("key", contract.STATE_KEYS)
def test_no_key_of_the_state_may_be_missing(key: str) -> None:
    told = state()
    del told[key]
    with pytest.raises(BadPayload, match=key):
        parse_state(msgspec.json.encode(told))


WRONG: list[tuple[str, Any]] = [
    ("state", "ASLEEP"), ("obstacle", None), ("fall", True), ("battery", 101), ("battery", 1.5), ("distance_m", -0.1), ("steps", "12"),
    ("cadence", 1e9), ("boot", 2**60), ("faults", ["x"] * 65), ("faults", ["<b>"]), ("faults", "imu_silent"), ("exercise", "<script>"),
    ("exercise", "walk\n"), ("alarm_id", ""), ("alarm_id", "a" * 65), ("alarm_id", "a-1-1\n"), ("session", "x y"), ("sw", "1\n2"),
    ("sw", "x" * 65), ("power", "maybe"), ("v", 0), ("uptime_s", -1),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_a_wrong_value_in_the_state_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(BadPayload, match=rf"\$\.{key}"):
        parse_state(msgspec.json.encode(state(**{key: value})))


def test_the_availability_is_one_of_two_words_or_nothing() -> None:
    assert [parse_availability(word) for word in (b"online", b"offline", b"")] == ["online", "offline", ""]
    for word in (b"Online", b"online\n", b'"online"', b"\xff", b"x" * 100_000):
        with pytest.raises(BadPayload):
            parse_availability(word)


def test_topics_have_one_shape() -> None:
    assert parse_topic("guardian", "guardian/a-1_b/state") == ("a-1_b", "state")
    for topic in (
        "guardian/a/state/x", "guardian/a", "x/a/state", "guardian/A/state", "guardian//state", "guardian/-a/state", "guardian/a\n/state",
        "guardian/a/state\n", "guardian/" + "a" * 33 + "/event", "guardian/a/command", "guardian/../state", "", "/",
    ):  # fmt: skip
        with pytest.raises(BadPayload):
            parse_topic("guardian", topic)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    for parse in (parse_state, parse_event, parse_availability):
        try:
            parse(payload)
        except BadPayload as error:
            assert len(str(error)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(max_examples=200, deadline=None)
@given(key=st.sampled_from(contract.EVENT_KEYS), value=JSON)
def test_no_value_in_an_event_raises_anything_else_or_comes_through_unbounded(key: str, value: Any) -> None:
    try:
        told = parse_event(msgspec.json.encode({**event(1), key: value}))
    except BadPayload:
        return
    assert len(msgspec.json.encode(told)) < 40_000
