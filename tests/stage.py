"""A story performed by the whole device on simulated hardware, and all that came of it."""

import json
from pathlib import Path
from typing import Any

from guardian.app import Play
from guardian.config import load
from guardian.frame import Fault, Frame
from guardian.sim.bench import Bench
from guardian.sim.broker import SimLink
from guardian.sim.scenarios import SCENARIOS, Scenario
from guardian.verdict import Event, State, Verdict


class Witness:
    """An output that remembers."""

    name = "witness"

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self.frames: list[Frame] = []

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        self.frames.append(frame)
        self.verdicts.append(verdict)

    def faults(self) -> tuple[Fault, ...]:
        return ()

    def close(self) -> None: ...


class Performance:
    """One performance. `seen` is what the caregiver received, by event id."""

    def __init__(self, scenario: Scenario | str, state_dir: Path, seed: int = 1, record: bool = False, **overrides: Any) -> None:
        row = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
        device = {"state_dir": str(state_dir)}
        recorder = {"enabled": record}
        config = load(local=None, overrides={"device": device, "recorder": recorder, **overrides})
        self.witness, self.links = Witness(), list[SimLink]()

        def link(bench: Bench) -> SimLink:
            self.links.append(SimLink(bench.clock, config))
            return self.links[-1]

        self.play = Play(config, row, seed, link, watching=(self.witness,))
        self.play.run()

    @property
    def verdicts(self) -> list[Verdict]:
        return self.witness.verdicts

    @property
    def events(self) -> list[Event]:
        return [event for verdict in self.verdicts for event in verdict.events]

    @property
    def told(self) -> list[str]:
        return [event.event_type for event in self.events]

    @property
    def seen(self) -> dict[str, dict[str, Any]]:
        payloads = [json.loads(one.payload) for link in self.links for one in link.seen if one.topic.endswith("/event")]
        return {payload["id"]: payload for payload in payloads}

    @property
    def states(self) -> list[dict[str, Any]]:
        return [json.loads(one.payload) for link in self.links for one in link.broker if one.topic.endswith("/state")]

    def heard(self) -> list[str]:
        """Sounds in order, each once while it goes on."""
        names: list[str] = []
        for verdict in self.verdicts:
            if verdict.alert and (not names or names[-1] != verdict.alert.sound):
                names.append(verdict.alert.sound)
        return names

    def first(self, event_type: str) -> Event:
        return next(event for event in self.events if event.event_type == event_type)

    def when(self, sound: str) -> float | None:
        """When a sound was first heard, s."""
        return next((verdict.t_ns / 1e9 for verdict in self.verdicts if verdict.alert and verdict.alert.sound == sound), None)

    @property
    def state(self) -> State:
        return self.verdicts[-1].state


def in_order(wanted: tuple[str, ...], told: list[str]) -> bool:
    """Whether `wanted` come in this order, others between them."""
    rest = iter(told)
    return all(event in rest for event in wanted)
