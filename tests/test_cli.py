"""The command line as a person at a terminal meets it."""

import json
import re
import subprocess
import sys
from argparse import Namespace
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from guardian import app
from guardian.__main__ import COMMANDS, main, parser
from guardian.commands import check
from guardian.commands.calibrate import Moved, judged
from guardian.commands.card import BEGIN, END, card, rhythm
from guardian.commands.sim import as_another
from guardian.commands.view import Story, picture
from guardian.commands.words import TEXTS
from guardian.config import Config, Sound, load
from guardian.contract import EVENTS
from guardian.drivers.imu import Refusal
from guardian.frame import Echo, Frame, ImuSample
from guardian.recording import read
from guardian.sim.bench import Bench
from guardian.sim.recorded import RecordedWorld
from guardian.sim.scenarios import SCENARIOS
from guardian.verdict import Alarm, Gap, Motion, Obstacle, Phase, Resume, Session, State, Training, Verdict

STILL = [[0.0, 0.0, 9.80665, 0.0, 0.0, 0.0]] * 2


def bench(config: Config, **more: object) -> Bench:
    return Bench(config, RecordedWorld([0.0, 3600.0], STILL), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_by_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert f"  guardian {command}" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_in_the_help_can_be_parsed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An example that does not work teaches the wrong thing."""
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    examples = [line.strip().split("   ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  guardian ")]
    assert len(examples) >= 2
    for example in examples:
        args = parser().parse_args([word.strip("'") for word in example.split()[1:]])
        assert args.command == command
        assert getattr(args, "scenario", None) is None or args.scenario in SCENARIOS


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (["loop.tick_ms=7000"], "tick_ms"),
        (["loop.tikc_ms=10"], "tikc_ms"),
        (["nonsense"], "section.key=value"),
        (["device.exercise=swim"], "stairs"),
        (["imu=3"], "imu"),
        (["imu=3", "imu.bus=1"], "section"),
    ],
)
def test_a_refused_configuration_ends_with_its_message_alone(settings: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config-only", *(part for setting in settings for part in ("--set", setting))]) == 2
    err = capsys.readouterr().err
    assert word in err
    assert "Traceback" not in err


@pytest.mark.parametrize("line", ["calibrate --bench --set device.state_dir={}", "sim stumble_and_recover --fast --record {}"])
def test_a_folder_that_cannot_be_made_ends_with_its_name_alone(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([word.format(tmp_path / "file" / "folder") for word in line.split()]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("guardian: ")


def test_run_without_a_pi_says_what_to_touch_and_ends_with_two(tmp_path: Path) -> None:
    """In a process of its own, as systemd sees it."""
    command = [sys.executable, "-m", "guardian", "run", "--set", f"device.state_dir={tmp_path}", "--set", "imu.bus=20"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "config.txt" in done.stderr
    assert "Traceback" not in done.stderr


# sim and demo


def test_sim_lists_its_stories(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--list"]) == 0
    assert "trip_backward_and_fall" in capsys.readouterr().out
    assert main(["sim", "no_such_story"]) == 2
    assert "trip_backward_and_fall" in capsys.readouterr().err


def test_sim_tells_a_story_in_lines_and_keeps_its_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "trip_backward_and_fall", "--fast", "--record", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    who = [line.split(" s  ", 1)[1] for line in lines if " s  " in line]
    assert any(line.startswith("state     FALLEN") for line in who)
    assert any(line.startswith("caregiver critical: has fallen") for line in who)
    assert any(line.startswith("sound") for line in who)
    assert main(["replay", *map(str, tmp_path.glob("trip_backward_and_fall-0-*.mcap"))]) == 0


def test_the_same_seed_is_the_same_story(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main(["sim", "stumble_and_recover", "--fast", "--seed", "5", "--record", str(tmp_path / name)]) == 0
    one, two = ([tick for path in sorted((tmp_path / name).glob("*.mcap")) for tick in read(path).entries()] for name in ("one", "two"))
    assert len(one) > 2000
    assert one == two


def test_the_printed_card_is_the_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text("[policy]\nsos_hold_s = 3.5\n")
    assert main(["sounds", "--card", "--config", str(tmp_path / "mine.toml")]) == 0
    assert "| hold 3.5 s | SOS" in capsys.readouterr().out


def test_demo_reaches_its_caregiver_through_a_real_broker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--fast"]) == 0
    out = capsys.readouterr().out
    assert "caregiver critical: has fallen" in out
    assert "told of the fall" in out


def test_every_event_has_words_for_a_person() -> None:
    assert TEXTS.keys() == EVENTS.keys()


# check


def rows(config: Config, device: Bench) -> dict[str, check.Row]:
    return {row.part: row for row in check.device_rows(config, device.hardware)}


def test_check_passes_every_part_of_a_whole_device(config: Config) -> None:
    found = rows(config, bench(config))
    assert {part: row.outcome for part, row in found.items()} == {
        "I2C bus": "pass", "IMU": "pass", "IMU rest": "pass", "ranger": "pass", "button": "pass", "buzzer": "pass", "supply": "skip",
    }  # fmt: skip


def test_check_lets_the_buzzer_be_heard_and_leaves_it_silent(config: Config) -> None:
    device = bench(config)
    rows(config, device)
    assert [on for _, on in device.sound_log].count(True) >= 2
    assert device.sound_log[-1][1] is False


def test_check_names_the_wire_when_the_imu_is_gone_and_goes_on(config: Config) -> None:
    device = bench(config)
    device.unplug_imu()
    found = rows(config, device)
    assert found["I2C bus"].outcome == found["IMU"].outcome == "fail"
    assert "SDA" in found["IMU"].remedy
    assert found["ranger"].outcome == "pass"


def test_check_finds_an_imu_at_the_other_address(config: Config) -> None:
    device = bench(config)
    device.bus.attach(0x6B, device.bus.detach(config.imu.address))
    assert "imu.address" in rows(config, device)["I2C bus"].remedy
    assert "0x6B" in rows(config, device)["I2C bus"].remedy


def test_check_fails_on_a_button_that_is_held(config: Config) -> None:
    device = bench(config)
    device.hold()
    row = rows(config, device)["button"]
    assert row.outcome == "fail"
    assert row.remedy


@pytest.mark.parametrize("habit", ["pulse_38ms", "pulse_200ms"])
def test_check_measures_how_the_ranger_says_nothing(habit: str, config: Config) -> None:
    row = rows(config, bench(config, no_echo=habit))["ranger"]
    assert habit in row.says
    assert row.outcome == ("pass" if habit == config.ranger.no_echo else "fail")
    assert (f'no_echo = "{habit}"' in row.remedy) == (row.outcome == "fail")


def test_check_tells_a_dead_ranger_from_one_that_is_stuck(config: Config) -> None:
    device = bench(config)
    device.unplug_ranger()
    assert "5 V" in rows(config, device)["ranger"].remedy
    device = bench(config)
    device.ranger_stuck_high()
    assert "stays high" in rows(config, device)["ranger"].remedy


def test_a_part_that_answers_only_when_something_is_there_is_known_by_it(config: Config) -> None:
    outcomes = [(Echo(0, 1, 1.2, "echo"), 10_000_000), (Echo(0, 2, None, "no_edges"), 66_000_000)]
    assert 'no_echo = "none"' in check.judge_ranger(config, outcomes).remedy
    assert check.judge_ranger(config, outcomes[:1]).outcome == "pass"


def test_check_table_ends_with_one_when_the_broker_is_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--set", f"device.state_dir={tmp_path}", "--set", "mqtt.port=1"]
    assert main(["check", "--bench", *arguments]) == 1
    out = capsys.readouterr().out
    assert "broker" in out
    assert "mqtt.host" in out


def test_check_only_reads_the_configuration_when_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config-only", "--set", f"device.state_dir={tmp_path}"]) == 0
    assert "all well" in capsys.readouterr().out
    (tmp_path / "calibration.json").write_text("{broken")
    assert main(["check", "--config-only", "--set", f"device.state_dir={tmp_path}"]) == 1


def test_check_leaves_the_parts_alone_while_the_guardian_runs(config: Config, tmp_path: Path) -> None:
    mine = load(local=None, overrides={"device": {"state_dir": str(tmp_path)}})
    with app.locked(app.places(mine)):
        found = list(check.rows_of(mine, Namespace(config=None, config_only=False, bench=True)))
    assert [row.part for row in found if row.outcome == "skip"] == ["hardware"]
    assert "systemctl stop" in found[-1].remedy


# calibrate


def standing(tilt: float = 0.0, turning: float = 0.0, g: float = 9.80665, bias: float = 0.01) -> list[ImuSample]:
    """Five seconds at 100 Hz; `tilt` is the sine of the lean, `turning` (rad/s) swings."""
    up = (1.0 - tilt * tilt) ** 0.5
    return [
        ImuSample(i * 10_000_000, (g * tilt, 0.0, g * up), (bias + (turning if i % 2 else -turning), 0.0, 0.0), False) for i in range(500)
    ]


def test_calibration_is_vertical_bias_and_height(config: Config) -> None:
    calibration = judged(config, standing(tilt=0.5), 0.9)
    assert calibration.up == pytest.approx((0.5, 0.0, 0.75**0.5))
    assert calibration.gyro_bias == pytest.approx((0.01, 0.0, 0.0))
    assert calibration.height_m == 0.9


def test_a_wearer_who_moves_is_not_calibrated(config: Config) -> None:
    with pytest.raises(Moved, match="you moved"):
        judged(config, standing(turning=0.2), 0.9)
    swaying = [*standing()[:250], *standing(tilt=0.1)[250:]]
    with pytest.raises(Moved, match="swayed 5"):
        judged(config, swaying, 0.9)
    with pytest.raises(Moved, match="stand upright"):
        judged(config, standing(tilt=0.9), 0.9)


def test_a_wrong_chip_is_not_calibrated(config: Config) -> None:
    with pytest.raises(Refusal, match=r"imu\.chip"):
        judged(config, standing(g=4.9), 0.9)
    with pytest.raises(Refusal, match="gyro"):
        judged(config, standing(bias=0.5), 0.9)


def test_calibrate_writes_the_file_that_the_device_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", f"device.state_dir={tmp_path}"]
    assert main(["calibrate", "--bench", "--height-m", "1.01", *settings]) == 0
    found = app.calibration_of(app.Places(tmp_path))
    assert found is not None
    assert found.height_m == 1.01
    assert found.up[2] > 0.99
    assert main(["calibrate", "--bench", *settings]) == 0
    again = app.calibration_of(app.Places(tmp_path))
    assert again is not None
    assert again.height_m == 1.01, "kept unless told otherwise"
    for height in ("9", "tall", "floor"):  # the bench has no floor
        assert main(["calibrate", "--bench", "--height-m", height, *settings]) == 2
    assert "floor" in capsys.readouterr().err


# sounds and the card


def test_sounds_are_drawn_and_explained_where_there_is_no_buzzer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sounds", "countdown", "--set", "imu.bus=20"]) == 0
    out = capsys.readouterr().out
    assert "press briefly if you are all right" in out
    assert "not played" in out
    assert main(["sounds", "no_such_sound"]) == 2
    assert "countdown" in capsys.readouterr().err


def test_a_rhythm_reads_as_it_sounds() -> None:
    def sound(*on_off_ms: int, repeat_s: float | None = None) -> Sound:
        return Sound(priority=1, on_off_ms=on_off_ms, repeat_s=repeat_s, meaning="for a test")

    assert rhythm(sound(600, 200, 80, 120, 80)) == "━━━  • •"
    assert rhythm(sound(120, 80, 60)) == "━ •"
    assert rhythm(sound(90, 560, repeat_s=0.0)) == "•   • …"
    assert rhythm(sound(1000, repeat_s=0.0)) == "━━━━━━━━━━"


def test_no_two_sounds_read_alike_on_the_card(config: Config) -> None:
    drawn = [rhythm(sound) for sound in config.sounds.values()]
    assert [one for one in drawn if drawn.count(one) > 1] == []


def test_the_card_holds_every_sound_and_the_times_of_every_gesture(config: Config) -> None:
    page = card(config)
    for sound in config.sounds.values():
        assert page.count(f"| {sound.meaning} |") == 1
    for seconds in (config.policy.sos_hold_s, config.policy.clear_hold_s, config.policy.triple_press_s):
        assert f"{seconds:g} s" in page


def test_the_card_is_written_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "hardware.md"
    page.write_text(f"# Hardware\n\n{BEGIN}\nyesterday\n{END}\n\nAfter.\n")
    assert main(["sounds", "--card", "--into", str(page)]) == 0
    once = page.read_text()
    assert once.startswith("# Hardware\n")
    assert once.endswith(f"{END}\n\nAfter.\n")
    assert "yesterday" not in once
    assert "| it means |" in once
    assert main(["sounds", "--card", "--into", str(page)]) == 0
    assert page.read_text() == once
    page.write_text("no markers")
    assert main(["sounds", "--card", "--into", str(page)]) == 2
    assert page.read_text() == "no markers"


def test_the_card_explains_the_coach_and_names_each_exercise_by_its_beeps(config: Config) -> None:
    page = card(config)
    coach, exercises = page.split("### The coach", 1)[1].split("###", 1)[0], page.split("### Exercises", 1)[1].split("###", 1)[0]
    assert all(config.sounds[f"coach_{cue}"].meaning in coach for cue in config.coach.cues)
    beeps = [row.split("`")[1].count("━") for row in exercises.splitlines() if row.startswith("| `")]
    assert beeps == list(range(1, len(config.exercises) + 1))


# the live view


def seen(config: Config, training: Training | None, exercise: str = "walk") -> list[str]:
    """The lines of the picture on a terminal of 80 columns."""
    session = Session("a-1-1", exercise, 0) if training else None
    verdict = Verdict(10**9, State.GUARDING, Obstacle.CLEAR, None, (), Motion(), Gap(), session, None, exercise, training=training)
    out = Console(width=80, file=StringIO(), force_terminal=False)
    out.print(picture(config, "a story", Frame(10**9), verdict, Story()))
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("training", "exercise", "words"),
    [
        (Training(Phase.WORK, "s", 150.0, 300.0), "walk", ("work", "████████░░░░░░░░", "150 of 300 s")),
        (Training(Phase.WARM_UP, "s", 0.0, 300.0, spent_s=30.0), "walk", ("warm-up", "████░░░░", "30 of 120 s")),
        (Training(Phase.REST, "m", 20.0, 20.0, 2, 4, 15.0), "run", ("rest", "15 of 60 s, set 2 of 4")),
        (Training(Phase.DONE, "reps", 12.0, 10.0), "lunges", ("done", "████████████████", "12 of 10 reps a leg")),
        (None, "walk", ("no session",)),
    ],
)
def test_the_live_view_shows_phase_and_progress_in_a_line(
    training: Training | None, exercise: str, words: tuple[str, ...], config: Config
) -> None:
    lines = seen(config, training, exercise)
    assert len(lines) <= 23
    line = next(line for line in lines if " training " in line)
    assert all(word in line for word in words), line


# erase


def lived_in(place: Path, alarm: Alarm | None = None) -> list[Path]:
    """A state folder after some use: what is health data in it."""
    (place / "recordings").mkdir(parents=True)
    names = ("outbox.db", "outbox.db-wal", "sessions.db", "sessions.db-wal", "sessions.db.damaged")
    data = [place / "recordings" / "g-sim-00001-000.mcap", *(place / name for name in names), place / "journal.json"]
    for path in data[:-1]:
        path.write_bytes(b"x")
    data[-1].write_bytes(msgspec.json.encode(Resume("sim", 1, State.FALLEN if alarm else State.OFF, alarm)))
    (place / "calibration.json").write_text("{}")
    return data


def test_erase_deletes_what_is_health_data_and_says_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = lived_in(tmp_path)
    assert main(["erase", "--yes", "--set", f"device.state_dir={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert not [path for path in data if path.exists()]
    assert all(path.name in out for path in data)
    assert (tmp_path / "calibration.json").exists(), "it is about the belt"
    assert main(["erase", "--set", f"device.state_dir={tmp_path}"]) == 0
    assert "nothing to erase" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("", False), ("no", False)])
def test_erase_asks_first(answer: str, gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = lived_in(tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["erase", "--set", f"device.state_dir={tmp_path}"]) == (0 if gone else 1)
    assert [path.exists() for path in data] == [not gone] * len(data)


def test_erase_refuses_while_an_alarm_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = lived_in(tmp_path, Alarm("sim-1-4", "fall", 0))
    assert main(["erase", "--set", f"device.state_dir={tmp_path}"]) == 1
    assert "sim-1-4" in capsys.readouterr().err
    assert all(path.exists() for path in data)
    assert main(["erase", "--yes", "--set", f"device.state_dir={tmp_path}"]) == 0
    assert not [path for path in data if path.exists()]


def test_erase_refuses_while_the_guardian_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = lived_in(tmp_path)
    with app.locked(app.Places(tmp_path)):
        assert main(["erase", "--yes", "--set", f"device.state_dir={tmp_path}"]) == 2
    assert "systemctl stop" in capsys.readouterr().err
    assert all(path.exists() for path in data)


def test_events_on_the_command_line_are_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--jsonl is for programs: every line of standard output is one object, whatever else is said goes to standard error."""
    import numpy as np

    place = tmp_path / "still.npz"
    t_s = np.arange(0, 3, 0.01)
    np.savez(place, still=np.column_stack((t_s, np.tile(STILL[0], (len(t_s), 1)))))
    assert main(["replay", "--imu", str(place), "--jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event_type"] for line in lines] == ["session_started", "replayed"]


def test_the_card_in_hardware_md_is_the_card_of_the_tables(config: Config) -> None:
    page = (Path(__file__).parent.parent / "hardware.md").read_text(encoding="utf-8")
    assert page.split(BEGIN)[1].split(END)[0].strip() == card(config).strip(), "run make card"


def test_a_story_at_a_real_broker_never_speaks_for_the_worn_device(config: Config) -> None:
    other = as_another(config)
    assert other.device.id != config.device.id
    long = as_another(load(local=None, overrides={"device": {"id": "a" * 32}}))
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", long.device.id)
