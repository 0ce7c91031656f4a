"""What stands around the program on a Pi: unit, boot lines, rules. They must agree with the program and with each other."""

import math
import re
import shutil
import subprocess
from configparser import ConfigParser
from itertools import groupby
from pathlib import Path

import msgspec
import pytest
from gpiozero.devices import Device
from gpiozero.pins.mock import MockFactory

from guardian import contract
from guardian.commands.card import BEGIN, END, card
from guardian.config import SHIPPED, Config, load
from guardian.outputs import silence
from tests.conftest import absent

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "systemd" / "guardian.service"
PULLED_DOWN = range(9, 28)  # at reset; GPIO 0-8 are pulled up (BCM2835 ARM Peripherals, p. 102)


def settings(section: str) -> dict[str, str]:
    parser = ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return dict(parser[section])


def test_systemd_reads_every_line_of_the_unit(tmp_path: Path) -> None:
    """systemd-analyze exits 0 even on unknown keys: only silence is consent. The programs must exist, so others stand in for them."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        absent("systemd", "systemd-analyze is not installed")
    text, replaced = re.subn(r"/opt/guardian/current/bin/\w+", "/bin/true", UNIT.read_text())
    assert replaced == 2
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    said = subprocess.run([str(analyze), "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    copy.write_text(text.replace("WatchdogSec=2", "WatchdogSecs=2"))  # and it would have said so
    said = subprocess.run([str(analyze), "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60, check=False)
    assert "WatchdogSecs" in said.stderr


def test_the_unit_gives_what_the_program_takes(config: Config) -> None:
    unit, service = settings("Unit"), settings("Service")
    assert service["Type"] == "notify"
    assert service["Restart"] == "always"
    assert unit["StartLimitIntervalSec"] == "0"
    assert int(service["LimitRTPRIO"]) >= config.loop.realtime_priority
    assert config.device.state_dir == f"/var/lib/{service['StateDirectory']}"
    assert "After" in unit
    assert "network" not in unit["After"]  # the buzzer must not wait for Wi-Fi
    for hides in ("PrivateDevices", "ProcSubset", "RestrictRealtime"):
        assert hides not in service


def test_the_watchdog_bites_later_than_a_slow_tick_and_sooner_than_anybody_waits(config: Config) -> None:
    watchdog_s = float(settings("Service")["WatchdogSec"])
    assert 10 * config.loop.late_ms / 1000 <= watchdog_s <= 3


def test_stopping_leaves_time_for_the_farewell(config: Config) -> None:
    assert float(settings("Service")["TimeoutStopSec"]) > config.mqtt.close_s + 10


def test_a_buzzer_killed_in_mid_beep_is_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Pi the pin keeps its level when the program dies."""
    assert settings("Service")["ExecStopPost"].endswith(f"python -m {silence.__name__}")
    factory = MockFactory()  # type: ignore[no-untyped-call]
    line = factory.pin(load().buzzer.pin)  # type: ignore[no-untyped-call]
    line.function = "output"
    line.state = True
    monkeypatch.setattr(Device, "pin_factory", factory)
    assert silence.main() == 0
    assert not line.state


def boot_lines() -> list[str]:
    text = (ROOT / "firmware_config" / "config.txt").read_text()
    return [line.split("#")[0].strip() for line in text.splitlines() if line.split("#")[0].strip()]


def test_boot_lines_hold_the_programs_pins(config: Config) -> None:
    held = dict(line.removeprefix("gpio=").split("=") for line in boot_lines() if line.startswith("gpio="))
    assert held == {
        str(config.buzzer.pin): "op,dl",
        str(config.ranger.trigger_pin): "op,dl",
        str(config.ranger.echo_pin): "ip,pd",
        str(config.button.pin): "ip,pu",
    }


def test_what_must_be_silent_at_power_on_is_on_a_pin_that_is_pulled_down(config: Config) -> None:
    assert config.buzzer.pin in PULLED_DOWN
    assert config.ranger.trigger_pin in PULLED_DOWN


def test_the_shutdown_button_never_takes_a_pin_in_use(config: Config) -> None:
    text = (ROOT / "firmware_config" / "config.txt").read_text()
    [pin] = re.findall(r"gpio-shutdown,gpio_pin=(\d+)", text)
    i2c = {2, 3}
    used = {config.buzzer.pin, config.ranger.trigger_pin, config.ranger.echo_pin, config.button.pin, config.buzzer.vibration_pin}
    assert int(pin) not in used | i2c


def test_the_services_groups_own_bus_and_pins() -> None:
    rules = (ROOT / "firmware_config" / "99-guardian.rules").read_text()
    assert set(settings("Service")["SupplementaryGroups"].split()) == set(re.findall(r'GROUP="(\w+)"', rules)) == {"i2c", "gpio"}


def test_the_shipped_configuration_is_the_one_in_firmware_config() -> None:
    assert SHIPPED.read_bytes() == (ROOT / "firmware_config" / "guardian.toml").read_bytes()


# hardware.md: the wiring table

HEADER = {  # GPIO of each signal's pin on the 40-pin header
    3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10, 21: 9, 22: 25, 23: 11, 24: 8, 26: 7,
    29: 5, 31: 6, 32: 12, 33: 13, 35: 19, 36: 16, 37: 26, 38: 20, 40: 21,
}  # fmt: skip
POWER = {"3V3": {1, 17}, "5 V": {2, 4}, "GND": {6, 9, 14, 20, 25, 30, 34, 39}}


def wires() -> list[tuple[str, str, int, str]]:
    """(part, its wire, header pin, name of that pin) of the wiring table."""
    page = (ROOT / "hardware.md").read_text()
    table = page.partition("<!-- wiring -->")[2].partition("<!-- /wiring -->")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()[2:]]
    return [(part, wire, int(pin), name) for part, wire, pin, name, *_ in rows]


def test_each_wire_ends_on_a_pin_of_that_name() -> None:
    for part, wire, pin, name in wires():
        if name.startswith("GPIO"):
            assert HEADER[pin] == int(name.removeprefix("GPIO ").split()[0]), (part, wire)
        else:
            assert pin in POWER[name], (part, wire)


def test_the_wiring_table_is_the_programs(config: Config) -> None:
    gpio = {(part, wire): HEADER[pin] for part, wire, pin, name in wires() if name.startswith("GPIO")}
    assert gpio == {
        ("IMU", "SDA"): 2,
        ("IMU", "SCL"): 3,
        ("Ranger", "TRIG"): config.ranger.trigger_pin,
        ("Ranger", "ECHO"): config.ranger.echo_pin,
        ("Button", "one side"): config.button.pin,
        ("Buzzer", "base resistor"): config.buzzer.pin,
        ("Vibration motor", "base resistor"): 27,
    }
    assert len({pin for _, _, pin, _ in wires()}) == len(wires())  # no header pin twice
    assert "buzzer.vibration_pin = 27" in (ROOT / "hardware.md").read_text()


def test_the_drawing_names_the_same_pins(config: Config) -> None:
    drawing = (ROOT / "docs" / "wiring.svg").read_text()
    for part, wire, pin, name in wires():
        if name.startswith("GPIO"):
            assert f"{name.split(' (')[0]} · pin {pin}<" in drawing, (part, wire)


def heard(on_off_ms: tuple[int, ...]) -> str:
    """A sound in words: "1 long, 2 short"."""
    words = ["long" if ms >= 250 else "medium" if ms > 100 else "short" for ms in on_off_ms[::2]]
    return ", ".join(f"{len(list(run))} {word}" for word, run in groupby(words))


def test_each_fault_and_how_it_sounds_is_on_the_page(config: Config) -> None:
    table = (ROOT / "hardware.md").read_text().partition("## Faults")[2].partition("<!--")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines() if line.startswith("|")][2:]
    assert {name: sound for sound, name, _ in rows} == {name: heard(config.sounds[name].on_off_ms) for name in contract.FAULTS}


def test_the_beam_table_is_geometry(config: Config) -> None:
    """Where the beam's lower edge meets the floor, and how far the echo from there is."""
    page = (ROOT / "hardware.md").read_text()
    rows = re.findall(r"(?m)^\| (\d+)° \| ([\d.]+) m \| ([\d.]+) m \|$", page)
    assert len(rows) == 4
    for lean, floor, echo in rows:
        below = math.radians(float(lean) + config.ranger.beam_half_angle_deg)
        assert float(floor) == pytest.approx(config.ranger.height_m / math.tan(below), abs=0.051)
        assert float(echo) == pytest.approx(config.ranger.height_m / math.sin(below), abs=0.051)


def test_the_card_on_the_page_is_todays(config: Config) -> None:
    """`make card` writes it."""
    page = (ROOT / "hardware.md").read_text()
    assert page.partition(f"{BEGIN}\n")[2].partition(END)[0] == card(config)


def test_every_key_that_the_page_names_exists(config: Config) -> None:
    page = (ROOT / "hardware.md").read_text()
    sections = [field.name for field in msgspec.structs.fields(Config)]
    named = set(re.findall(rf"`({'|'.join(sections)})\.(\w+)", page))
    assert len(named) > 8
    for section, key in named:
        assert hasattr(getattr(config, section), key), f"{section}.{key}"


def test_every_picture_of_the_page_is_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "hardware.md").read_text())
    assert pictures
    assert all((ROOT / picture).exists() for picture in pictures)
