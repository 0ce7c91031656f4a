"""Alerts on their way through real stations, brokers and kills: small versions of lab/alerts.py."""

import importlib.util
import shutil

import pytest

pytest.importorskip("sqlalchemy", reason="the station extra is not installed (pip install guardian[station])")

from lab import alerts
from lab.postgres import programs
from tests.conftest import absent


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_station_killed_while_it_holds_twenty_alerts_costs_none_and_at_most_one_is_told_twice(mosquitto: str, database: str) -> None:
    if database == "postgresql" and programs() is None:
        absent("postgres", "PostgreSQL is not installed (apt install postgresql)")
    result = alerts.two(mosquitto, rounds=1, rate_hz=60.0, postgres=database == "postgresql")
    assert int(result["held_least"]) >= 20 and int(result["raised"]) >= 80
    assert (result["lost"], result["stored_wrong"]) == (0, 0)
    assert int(result["told_twice"]) <= 1


def test_one_station_and_its_broker_killed_lose_no_alert(mosquitto: str) -> None:
    result = alerts.kills(mosquitto, 30, station_kills=1, broker_kills=1, rate_hz=20.0, seed=3)
    assert (result["raised"], result["lost"], result["stored_wrong"]) == (35, 0, 0)
    assert int(result["told_twice"]) <= 1


def test_what_a_device_kept_through_two_hours_alone_arrives_and_is_told(mosquitto: str) -> None:
    result = alerts.day(mosquitto, hours=2.0)
    assert (result["events"], result["alarms"], result["alarms_stored"]) == (120, 4, 4)
    assert (result["lost"], result["told_twice"]) == (0, 0)


def test_what_a_station_holds_is_read_from_the_brokers_log() -> None:
    client = "guardian-station-one"
    log = f"""1: New client connected from 127.0.0.1:1 as {client} (p5, c1, k10).
1: Sending PUBLISH to {client} (d0, q1, r0, m1, 'guardian/walker-00/event', ... (210 bytes))
1: Sending PUBLISH to {client} (d0, q0, r1, m0, 'guardian/walker-00/state', ... (210 bytes))
2: New client connected from 127.0.0.1:2 as {client} (p5, c1, k10).
2: Sending PUBLISH to {client} (d0, q1, r0, m1, 'guardian/walker-00/event', ... (210 bytes))
2: Sending PUBLISH to guardian-station-other (d0, q1, r0, m1, 'guardian/walker-00/event', ... (210 bytes))
2: Sending PUBLISH to {client} (d0, q1, r0, m2, 'guardian/walker-00/event', ... (210 bytes))
2: Received PUBACK from {client} (Mid: 1, RC:0)
"""
    assert alerts.held(log, client) == 1
    assert alerts.held(log, "guardian-station-other") == 1


def test_percentiles_are_times_that_were_seen() -> None:
    assert alerts.percentiles([n * 1_000_000 for n in range(1, 101)]) == (50.0, 99.0, 100.0)
    assert alerts.percentiles([7_000_000]) == (7.0, 7.0, 7.0)


def test_a_fall_is_on_an_open_page_in_a_real_browser(mosquitto: str) -> None:
    if shutil.which("chromium") is None or importlib.util.find_spec("playwright") is None:
        absent("chromium", "chromium or playwright is not installed (apt install chromium; pip install playwright)")
    result = alerts.page(mosquitto, alerts=6, devices=3, rate_hz=3.0)
    assert (result["raised"], result["shown"]) == (6, 6)
