"""From the belt to the page: a whole simulated device is worn, keeps its logbook, and the report shows what happened."""

from pathlib import Path

from guardian.__main__ import main
from guardian.app import Play
from guardian.config import load
from guardian.report.history import read_session
from guardian.sessions import FILE
from guardian.sim.broker import SimLink
from guardian.sim.scenarios import SCENARIOS
from tests.report.conftest import PageRead


def test_a_fall_on_the_belt_is_a_fall_on_the_page(tmp_path: Path) -> None:
    state = tmp_path / "state"
    config = load(local=None, overrides={"device": {"state_dir": str(state)}})
    Play(config, SCENARIOS["trip_backward_and_fall"], 0, lambda bench: SimLink(bench.clock, config)).run()
    assert main(["report", "latest", "--db", str(state / FILE), "--out", str(tmp_path), "--csv"]) == 0
    (page,) = tmp_path.glob("*.html")
    read = PageRead(page.read_text(encoding="utf-8"))
    shown = {field: value for _, field, value, _ in read.values}
    assert shown["exercise"] == "walk" and shown["falls"] == "1" and shown["near_falls"] == "0"
    assert int(shown["steps"]) > 10
    events = [event_type for _, event_type, _ in read.marks]
    assert "fall" in events and events.index("imminent_fall") < events.index("fall")
    (told,) = read_session(state / FILE, "latest").sessions
    assert abs(told.seconds[-1].t_s - len(told.seconds)) <= 2.0, "a row a second"
    assert {second.state for second in told.seconds} >= {"GUARDING", "DOWN", "FALLEN"}
    assert [kind for kind, _, _ in read.findings] == ["unended"], "nobody has ended it: the story stops while the wearer lies"
    assert (tmp_path / f"{page.stem}.png").exists() and (tmp_path / f"{page.stem}-timeline.csv").exists()
