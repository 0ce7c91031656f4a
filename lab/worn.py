"""A whole simulated device at a real broker, in a thread and at a pace of one's own, until it is taken off."""

import threading
from dataclasses import replace as with_
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from guardian.app import Play
from guardian.config import load
from guardian.frame import Fault, Frame
from guardian.outputs.link import PahoLink
from guardian.sim.scenarios import SCENARIOS, Scenario
from guardian.verdict import Verdict


class Worn:
    """The story of a scenario, from `with` to its end; it does not end by itself. `pace` 2: twice as fast as life."""

    name = "worn"

    def __init__(self, folder: Path, port: int, scenario: str | Scenario, pace: float = 1.0, seed: int = 0, **mqtt: Any) -> None:
        config = load(local=None, overrides={"device": {"state_dir": str(folder)}, "mqtt": {"host": "127.0.0.1", "port": port, **mqtt}})
        self.config = replace(config, mqtt=replace(config.mqtt, enabled=True))
        story = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
        endless = with_(story, duration_s=36000.0)
        self.play = Play(self.config, endless, seed, lambda bench: PahoLink(self.config), [self], pace)
        self.verdict: Verdict | None = None
        self.device = self.config.device.id
        self._thread = threading.Thread(target=self.play.run, daemon=True)

    def __enter__(self) -> "Worn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.play.device.stop()
        self._thread.join(10)

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        self.verdict = verdict

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""

    def has_played(self, sound: str) -> bool:
        """Whether the buzzer's line has shown this sound's rhythm, to two ticks; its first and last beep may touch the sound beside it."""
        first, *inner, last = self.config.sounds[sound].on_off_ms
        log = list(self.play.bench.sound_log)
        spans = [(after[0] - before[0]) / 1e6 for before, after in pairwise(log)]
        return any(
            on
            and len(spans) > place + 1 + len(inner)
            and spans[place] >= first - 20
            and all(abs(span - ms) <= 20 for span, ms in zip(spans[place + 1 :], inner, strict=False))
            and spans[place + 1 + len(inner)] >= last - 20
            for place, (_, on) in enumerate(log)
        )
