"""The installed device on a real kernel: a Debian 12 guest with its own I2C bus, pins, systemd and broker. `make test-vm`.

The stories share a guest and follow each other as they stand here: each leaves the device guarding. The ranger is absent: an emulated
processor's echo times mean nothing, and a device without a ranger guards against falls on, and says that it does not see behind.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from guardian.config import Config, Sound
from tests.vm.machine import Edge, Machine
from tests.vm.motion import FALL_IMPACT_S

pytestmark = pytest.mark.vm

SLACK_MS = 25  # the line is looked at every 9.6 ms, the device sets it every 10 ms
SILENCE_MS = 250  # between codes there are 400 (policy.sound_apart_s), within those that are listened for at most 200
Seen = Callable[[str], None]


def played(edges: list[Edge], sound: Sound) -> list[float]:
    """When (s) the line began to play that row of [sounds]: nine lengths of one that loops; all of a finite one, and silence after it."""
    loops = sound.repeat_s == 0.0
    row = (list(sound.on_off_ms) * 3)[:9] if loops else list(sound.on_off_ms)
    times = [edge.t_s for edge in edges]
    lengths_ms = [1000 * (after - before) for before, after in pairwise(times)]
    found = []
    for i in range(len(times) - len(row)):
        alike = all(abs(length - wanted) <= SLACK_MS for length, wanted in zip(lengths_ms[i:], row, strict=False))
        silent = loops or all(length > SILENCE_MS for length in lengths_ms[i + len(row) : i + len(row) + 1])
        if edges[i].on and alike and silent:
            found.append(times[i])
    return found


def first(machine: Machine, config: Config, sound: str, since_s: float, limit_s: float) -> float:
    """When (s) that row of [sounds] first began on the line. AssertionError: it was not heard."""
    while True:
        edges = machine.edges(since_s)
        found = played(edges, config.sounds[sound])
        if found:
            return found[0]
        told = [(round(edge.t_s - since_s, 3), int(edge.on)) for edge in edges]
        assert machine.now_s < since_s + limit_s, f"{sound} was not heard: {told}"
        machine.run("sleep 0.5")


def counted(machine: Machine, event_type: str) -> int:
    """How many such events the subscriber has heard."""
    return sum(one.event["event_type"] == event_type for one in machine.heard())


def guarding(machine: Machine, limit_s: float = 30.0) -> None:
    """Wait until the device's last word is that it guards."""
    machine.wait('tail -n 40 /run/world/heard | grep /state | tail -n 1 | grep \'"state":"GUARDING"\'', limit_s)


def unbroken(machine: Machine) -> None:
    """No part of the device has raised in this boot (outputs/guard.py would have held it, and said so)."""
    assert machine.run("journalctl -u guardian -b --no-pager | grep -A 30 outputs.guard || true") == ""


def call_for_help(machine: Machine, config: Config, limit_s: float = 30.0) -> dict[str, object]:
    """Hold the button for 2.5 s: the SOS at the subscriber, once the burst has been heard on the line."""
    before, began_s = counted(machine, "sos"), machine.now_s
    machine.hold_button(True)
    machine.run("sleep 2.5")
    machine.hold_button(False)
    event = machine.wait_for_event("sos", limit_s, before)
    first(machine, config, "fall", began_s, limit_s)
    return event


def clear(machine: Machine) -> None:
    """The wearer, upright, ends the alarm: the button held for more than 5 s."""
    before = counted(machine, "cleared")
    machine.tell("play stand")
    machine.run("sleep 4")
    machine.hold_button(True)
    machine.run("sleep 6")
    machine.hold_button(False)
    machine.wait_for_event("cleared", 10, before)
    guarding(machine)


def test_it_boots_to_guarding_and_chirps(machine: Machine, config: Config, seen: Seen) -> None:
    machine.boot()
    started = machine.wait_for_event("session_started", 120)
    self_test_s = first(machine, config, "self_test", 0.0, 300)
    chirp_s = first(machine, config, "guarding", 0.0, 300)
    assert self_test_s < chirp_s
    assert chirp_s - started["uptime_s"] < config.policy.sound_patience_s
    assert started["t"] is None, "nobody has set this guest's clock: no time is better than a wrong one"
    state = machine.state()
    assert (state["state"], state["posture"], state["obstacle"]) == ("GUARDING", "upright", "UNKNOWN")
    assert state["faults"] == ["echo_stuck_low"], "there is no ranger here, and that is said"
    first(machine, config, "echo_stuck_low", 0.0, 300)
    began = re.search(r"\[ *([\d.]+)\] systemd\[1\]: Starting guardian", machine.log.read_text())
    assert began
    seen(f"service started at {float(began[1]):.1f} s, self-test at {self_test_s:.1f} s, guarding at {started['uptime_s']:.1f} s of uptime")


def test_it_runs_as_installed(machine: Machine, seen: Seen) -> None:
    assert machine.run("cmp /etc/systemd/system/guardian.service /opt/guest/as_shipped.service && echo same") == "same"
    assert machine.run("stat -c '%U:%G %a' /dev/i2c-0") == "root:i2c 660"
    assert machine.run("stat -c '%U:%G %a' /dev/gpiochip0") == "root:gpio 660"
    main = machine.unit("MainPID")
    assert machine.run(f"stat -c %U /proc/{main}") == "guardian"
    threads = machine.run(f"cat /proc/{main}/task/*/stat").splitlines()
    fields = {int(line.split()[0]): line.rsplit(")", 1)[1].split() for line in threads}
    priorities = {thread: (int(field[37]), int(field[38])) for thread, field in fields.items()}  # proc(5): rt_priority 40, policy 41
    assert priorities.pop(int(main)) == (20, 1), "the deciding thread is SCHED_FIFO at loop.realtime_priority"
    assert set(priorities.values()) == {(0, 0)}, "and no other"
    memory_mb = int(machine.unit("MemoryCurrent")) / 2**20
    seen(f"{len(fields)} threads, one of them FIFO 20; {memory_mb:.0f} MB")


def test_a_fall_sounds_the_line_and_arrives_as_an_alert(machine: Machine, config: Config, seen: Seen) -> None:
    guarding(machine)
    impact_s = machine.tell("play fall") + FALL_IMPACT_S
    fall = machine.wait_for_event("fall", 60)
    assert fall["severity"] == "critical"
    events = [one.event for one in machine.heard()]
    alarm_s = min(event["uptime_s"] for event in events if event["event_type"] in ("imminent_fall", "fall_suspected"))
    assert -1.5 <= alarm_s - impact_s <= 3.0
    imminent_s = first(machine, config, "imminent", impact_s - 5, 60)
    assert abs(imminent_s - alarm_s) < 0.5
    first(machine, config, "countdown", impact_s, 60)
    burst_s = first(machine, config, "fall", impact_s + 15, 60)
    assert abs(burst_s - fall["uptime_s"]) < 0.5
    offset_s = float(machine.run("python3 -c 'import time; print(time.time() - time.monotonic())'"))
    arrived_s = next(one.utc_s for one in machine.heard() if one.event["id"] == fall["id"]) - offset_s
    assert machine.state()["fall"] == "ON"
    seen(
        f"first alarm {impact_s - alarm_s:.2f} s before the impact, on the line {1000 * (imminent_s - alarm_s):.0f} ms after that tick; "
        f"fall {fall['uptime_s'] - impact_s:.1f} s after the impact, at the subscriber {1000 * (arrived_s - fall['uptime_s']):.0f} ms later"
    )
    clear(machine)


def test_a_stopped_loop_is_killed_silenced_and_guards_again(machine: Machine, config: Config, seen: Seen) -> None:
    guarding(machine)
    restarts, before = int(machine.unit("NRestarts")), counted(machine, "guarding")
    value = "/sys/devices/platform/gpio-sim.0/gpiochip*/sim_gpio17/value"
    main = machine.unit("MainPID")
    # stopped while the line is on: the absent ranger's fault is told every ten seconds, half a second long
    machine.run(f"while :; do read level <$(echo {value}); [ $level = 1 ] && break; done; kill -STOP {main}", 60)
    stopped_s = machine.now_s
    assert machine.run(f"cat {value}") == "1"
    machine.wait(f"test $(systemctl show guardian --value -p NRestarts) -gt {restarts} && echo yes", 20)
    machine.wait_for_event("guarding", 30, before)
    edges = machine.edges(stopped_s - 1)
    silenced_s = next(edge.t_s for edge in edges if not edge.on and edge.t_s > stopped_s)
    again_s = next(edge.t_s for edge in edges if edge.on and edge.t_s > silenced_s)
    started_s = int(machine.unit("ExecMainStartTimestampMonotonic")) / 1e6
    assert 1.0 < silenced_s - stopped_s < 5.0, "a stopped program leaves its pin as it was, until systemd has killed it"
    assert silenced_s < started_s < again_s, "after the kill there is silence until the next program's own first sound"
    self_test_s = first(machine, config, "self_test", silenced_s, 30)
    assert int(machine.unit("NRestarts")) == restarts + 1
    assert "Failed with result 'watchdog'" in machine.run("journalctl -u guardian -b --no-pager")
    back_s = [one.event["uptime_s"] for one in machine.heard() if one.event["event_type"] == "guarding"][before]
    seen(
        f"line silent {silenced_s - stopped_s:.1f} s after SIGSTOP, self-test {self_test_s - stopped_s:.1f} s, "
        f"guarding again {back_s - stopped_s:.1f} s"
    )


def test_a_chip_that_is_gone_is_told_and_taken_back(machine: Machine, config: Config, seen: Seen) -> None:
    guarding(machine)
    unguarded, guarded, cleared = counted(machine, "not_guarding"), counted(machine, "guarding"), counted(machine, "fault_cleared")
    restarts = machine.unit("NRestarts")
    gone_s = machine.tell("power off")
    told = machine.wait_for_event("not_guarding", 10, unguarded)
    heard_s = first(machine, config, "imu_silent", gone_s, 15)
    machine.wait("tail -n 5 /run/world/heard | grep /state | grep imu_silent", 10)
    fault = next(one.event for one in machine.heard() if one.event["event_type"] == "fault" and "imu" in json.dumps(one.event["evidence"]))
    assert "errno 121" in json.dumps(fault["evidence"]), "what is told names the bus's own answer"
    assert told["uptime_s"] - gone_s < 0.5
    assert heard_s - gone_s < 0.5 + config.policy.sound_apart_s
    back_s = machine.tell("power on")
    again = machine.wait_for_event("guarding", 30, guarded)
    machine.wait_for_event("fault_cleared", 30, cleared)
    assert "imu_silent" not in machine.state()["faults"]
    assert machine.unit("NRestarts") == restarts
    seen(
        f"told {told['uptime_s'] - gone_s:.2f} s, heard {heard_s - gone_s:.2f} s after it went; "
        f"guarding {again['uptime_s'] - back_s:.2f} s after its return"
    )


def test_the_clock_jumps_three_years(machine: Machine, config: Config, seen: Seen) -> None:
    guarding(machine)
    before = [one.event["event_type"] for one in machine.heard()]
    restarts = machine.unit("NRestarts")
    # an event waits for the broker while the clock jumps: it must neither expire nor lose its place
    machine.run("systemctl stop mosquitto")
    machine.run("sleep 3")
    waiting_s = machine.now_s
    machine.hold_button(True)
    machine.run("sleep 2.5")
    machine.hold_button(False)
    machine.run(
        "date -s '+3 years' >/dev/null; mkdir -p /run/systemd/timesync; touch /run/systemd/timesync/synchronized"
    )  # as timesyncd does
    machine.run("systemctl start mosquitto")
    sos = machine.wait_for_event("sos", 60, before.count("sos"))
    assert abs(sos["uptime_s"] - waiting_s - 2) < 2.0
    assert sos["t"] is None, "raised before the clock was set"
    clear(machine)
    machine.run("sleep 15")
    command = json.dumps({"v": 1, "cmd": "test", "id": "after-the-jump"})
    machine.run(f"mosquitto_pub -q 1 -t guardian/guardian-01/command -m '{command}'")
    test = machine.wait_for_event("test", 20)
    now = datetime.fromtimestamp(float(machine.run("date +%s")), UTC)
    assert abs(datetime.fromisoformat(test["t"]) - now) < timedelta(seconds=30)
    assert now > datetime.now(UTC) + timedelta(days=3 * 365 - 2)
    new = [one.event["event_type"] for one in machine.heard()][len(before) :]
    alarms = {"imminent_fall", "fall_suspected", "fall", "near_fall", "not_guarding", "not_worn", "long_lie", "session_ended"}
    assert not alarms & set(new), new
    assert machine.unit("NRestarts") == restarts
    assert machine.state()["state"] == "GUARDING"
    seen(f"no alarm, no restart; an event afterwards says {test['t'][:10]}; the one that had waited through the jump arrived")


def test_a_full_disk_is_told_and_help_is_called_all_the_same(machine: Machine, config: Config, seen: Seen) -> None:
    guarding(machine)
    cleared = counted(machine, "fault_cleared")
    machine.run("fallocate -l $(df --output=avail -B1 / | tail -n 1) /full && sync")  # all but what ext4 keeps for root
    full_s = machine.now_s
    machine.wait("tail -n 5 /run/world/heard | grep /state | tail -n 1 | grep disk_full", 60)
    first(machine, config, "disk_full", full_s - 30, 90)
    assert machine.state()["state"] == "GUARDING"
    sos = call_for_help(machine, config)
    clear(machine)
    machine.run("rm /full; sync")
    freed_s = machine.now_s
    machine.wait_for_event("fault_cleared", 60, cleared)
    machine.wait("tail -n 5 /run/world/heard | grep /state | tail -n 1 | grep -v disk_full", 30)
    seen(f"told, heard, SOS {sos['id']} sounded and arrived; well again {machine.now_s - freed_s:.0f} s after there was space")


def test_it_is_shut_in_and_everything_works(machine: Machine, seen: Seen) -> None:
    guarding(machine)
    said = machine.run("systemd-analyze security guardian --no-pager", 120)
    exposure = re.search(r"exposure level for guardian.service: ([\d.]+)", said)
    assert exposure
    assert float(exposure[1]) <= 2.0
    unbroken(machine)
    seen(f"systemd-analyze security guardian: {exposure[1]}")


def test_switched_off_it_says_so_and_is_silent(machine: Machine, seen: Seen) -> None:
    guarding(machine)
    ended, started = counted(machine, "session_ended"), counted(machine, "session_started")
    began_s = machine.now_s
    machine.run("systemctl stop guardian")
    stopped_s = machine.now_s
    machine.wait_for_event("session_ended", 10, ended)
    assert machine.heard("availability")[-1].payload == "offline"
    assert machine.unit("Result") == "success"
    machine.run("sleep 3")
    assert not [edge for edge in machine.edges(stopped_s) if edge.on]
    machine.run("systemctl start guardian")
    machine.wait_for_event("session_started", 30, started)
    guarding(machine)
    seen(f"{stopped_s - began_s:.1f} s from systemctl stop to the end, session_ended and offline told, then silence")


def test_a_power_cut_in_an_alarm_loses_no_alert(machine: Machine, config: Config, seen: Seen) -> None:
    guarding(machine)
    machine.run("systemctl stop mosquitto")  # nobody can be told before the cut
    fallen_s = machine.tell("play fall") + FALL_IMPACT_S
    burst_s = first(machine, config, "fall", fallen_s + 10, 60)
    before = {one.event["id"] for one in machine.heard()}
    machine.cut_power()
    machine.boot()
    fall = machine.wait_for_event("fall", 120)
    assert fall["id"] not in before
    machine.wait(f"tail -n 5 /run/world/heard | grep /state | tail -n 1 | grep '\"boot\":{fall['boot'] + 1},'", 30)  # raised before the cut
    assert abs(fall["uptime_s"] - burst_s) < 0.5
    sounded_s = first(machine, config, "fall", 0.0, 300)
    started = re.findall(r"\[ *([\d.]+)\] systemd\[1\]: Starting guardian", machine.log.read_text())
    assert machine.state()["fall"] == "ON"
    assert machine.state()["alarm_id"] is not None
    again_s = sounded_s - float(started[-1])
    assert again_s < 5, "most of it is Python's start on a slow processor"
    unbroken(machine)
    seen(f"FALLEN sounds again {again_s:.1f} s after the service was started; {fall['id']} of the boot before arrived")
    clear(machine)


def test_a_card_that_takes_no_more_writes_does_not_stop_the_guard(machine: Machine, config: Config, seen: Seen) -> None:
    guarding(machine)
    restarts = machine.unit("NRestarts")
    machine.run("echo u >/proc/sysrq-trigger; sleep 1; ! touch /writable")  # as ext4 does with a card that fails
    gone_s = machine.now_s
    # the kernel takes what is written into a file that is open, and says nothing: the recorder asks for it
    told_s = first(machine, config, "output_failed", gone_s, 20) - gone_s
    assert told_s < 5
    machine.wait("tail -n 5 /run/world/heard | grep /state | tail -n 1 | grep -E 'output_failed|disk_full'", 20)
    assert machine.state()["state"] == "GUARDING"
    assert machine.unit("NRestarts") == restarts
    sos = call_for_help(machine, config)
    clear(machine)
    machine.run("systemctl kill -s KILL guardian")  # and even started anew on it, it guards
    began_s = machine.now_s
    first(machine, config, "self_test", began_s, 60)
    guarding(machine, 60)
    machine.wait("tail -n 5 /run/world/heard | grep /state | tail -n 1 | grep -E 'output_failed|disk_full'", 60)
    ids = {one.event["id"] for one in machine.heard()}
    again = call_for_help(machine, config)
    clear(machine)
    assert again["id"] not in ids, "what cannot count its boots on disk must not tell an id twice"
    seen(f"told and heard after {told_s:.1f} s; SOS {sos['id']} arrived, and after a restart on the read-only card {again['id']}")
