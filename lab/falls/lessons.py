"""What is kept between runs (lab/out/falls/<hash>): each person's trials as the device hears them, and as other belts and chips would.

One file a person and copy. Copy 0 is undisturbed, through the whole simulated device, and knows when the device was guarding; the
others are disturbed (disturb.py). What they are made from, recordings, configuration and code, names the folder.
"""

import hashlib
import os
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from guardian import monitor, sim
from guardian.app import recorded_device
from guardian.commands.replay_imu import Teller
from guardian.config import Config, load
from guardian.frame import Fault, Frame
from guardian.monitor.fall import HOLE_NS, SAMPLES, SPEED_FADES_NS
from guardian.sim.exercises import CONTROLLED, EXERCISES, FALLS, Session, controlled, fall, session
from guardian.sim.population import TRAINING
from guardian.verdict import Verdict
from lab.evaluate import RATE_HZ
from lab.falls.disturb import disturbed
from lab.falls.recordings import MISLABELLED, Recording, digest, people, recordings
from lab.falls.senses import UNITS, Ear, Sensed, sensed
from lab.falls.training import RECIPE, Lesson, Recipe
from lab.score import ALARMS

OUT = Path(__file__).parent.parent / "out" / "falls"
MOVEMENTS, SESSIONS = 25, 24  # simulated negatives: of each controlled movement, of each exercise
FALLS_EACH, RUN_FALLS_EACH = 12, 60  # simulated falls of each kind: in each exercise, out of a run, for which no recording stands
SIMULATED, SIMULATED_SEED = "SIM", 77


@dataclass(frozen=True)
class Worn:
    """A trial as worn: what was heard, when the device was guarding, and when the nets under the model alarmed by themselves."""

    name: str
    variant: str
    sensed: Sensed
    guarding: NDArray[np.bool_]  # per step: in the tick that reads the step's last sample
    net_s: float | None
    impact_s: float | None


class Guarding:
    """An output that notes in which ticks the device guarded."""

    name = "guarding"

    def __init__(self) -> None:
        self.ticks: list[tuple[int, bool]] = []

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        self.ticks.append((verdict.t_ns, verdict.state == "GUARDING"))

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


def as_worn(config: Config, recording: Recording) -> Worn:
    """Play a trial through the device with a fall rule that only listens."""
    times_s = recording.values[:, 0]
    teller, guarding = Teller(), Guarding()
    bench, device = recorded_device(config, times_s, recording.values[:, 1:], None, teller, guarding)
    start_ns = bench.clock.now_ns()
    device.monitor.fall.rule = ear = Ear(start_ns)
    bench.at(float(times_s[-1]), device.stop)
    with device:
        device.run()
    heard = ear.heard()
    ticks = np.array([t_ns - start_ns for t_ns, _ in guarding.ticks]) * 1e-9
    on = np.array([on for _, on in guarding.ticks])[np.minimum(np.searchsorted(ticks, heard.t_s - 1e-6), len(ticks) - 1)]
    alarms = [(event.t_ns - start_ns) * 1e-9 for event in teller.events if event.event_type in ALARMS]
    return Worn(recording.name, recording.variant, heard, on, alarms[0] if alarms else None, recording.impact_s)


def folder_of(recorded: Path) -> Path:
    """Where what was made from these recordings, by this code and configuration, is kept."""
    made = hashlib.sha256(digest(recorded, people(recorded)).encode())
    config = load(None)
    made.update(repr((UNITS.tolist(), SAMPLES, SPEED_FADES_NS, HOLE_NS)).encode())
    made.update(msgspec.json.encode([config.imu, config.loop, config.estimate, config.gait, config.health, config.policy]))
    for part in (Path(monitor.__file__).parent, Path(sim.__file__).parent, Path(__file__).parent):
        for name in (
            "estimate.py",
            "gait.py",
            "inertial.py",
            "lsm6dsox.py",
            "exercises.py",
            "disturb.py",
            "senses.py",
            "lessons.py",
        ):
            if (part / name).exists():
                made.update((part / name).read_bytes())
    return OUT / made.hexdigest()[:12]


def _make(recorded: Path, into: Path, job: tuple[str, int]) -> None:
    """One person's copy, if it is not there."""
    person, copy = job
    place = into / f"{person}-{copy}.npz"
    if place.exists():
        return
    config = load(None)
    config = replace(config, device=replace(config.device, exercise="everyday"), fall=replace(config.fall, rule="ahn2019"))  # Ear's place
    arrays: dict[str, NDArray[np.generic]] = {}
    for recording in recordings(recorded, person):
        key = f"{recording.name}/{recording.variant}"
        pace = 1.0
        if copy:
            rng = np.random.default_rng((copy, zlib.crc32(key.encode())))
            rows, full, pace = disturbed(rng, recording.values, not recording.is_fall)
            heard = sensed(config, rows, full)
        else:
            worn = as_worn(config, recording)
            heard = worn.sensed
            arrays[f"{key}/guarding"] = worn.guarding
            if worn.net_s is not None:
                arrays[f"{key}/net_s"] = np.array(worn.net_s)
        arrays[f"{key}/x"], arrays[f"{key}/t_s"] = heard.x, heard.t_s
        if recording.impact_s is not None and recording.contact_s is not None:
            arrays[f"{key}/contact_s"], arrays[f"{key}/impact_s"] = (
                np.array(recording.contact_s / pace),
                np.array(recording.impact_s / pace),
            )
    _save(place, arrays)


def simulated() -> Iterator[Session]:
    """By the training population: what is fast or low and no fall, each exercise, and falls out of each."""
    for kind in CONTROLLED:
        yield from (controlled(kind, TRAINING, seed) for seed in range(1000, 1000 + MOVEMENTS))
    for exercise in EXERCISES:
        yield from (session(exercise, TRAINING, seed, minutes=1.5) for seed in range(2000, 2000 + SESSIONS))
    for exercise in EXERCISES[:-1]:  # everyday's falls are those of walk
        for kind in FALLS[exercise]:
            many = RUN_FALLS_EACH if exercise == "run" else FALLS_EACH
            yield from (fall(exercise, kind, TRAINING, seed) for seed in range(3000, 3000 + many))


def _make_simulated(into: Path) -> None:
    """All that is simulated, disturbed once, if it is not there."""
    place = into / f"{SIMULATED}-0.npz"
    if place.exists():
        return
    config = load(None)
    arrays: dict[str, NDArray[np.generic]] = {}
    for number, one in enumerate(simulated()):
        rng = np.random.default_rng((SIMULATED_SEED, number))
        contact_s = one.truth.falls[0].contact_s if one.truth.falls else None
        times = np.arange(0, one.seconds if contact_s is None else contact_s + 2.0, 1 / RATE_HZ)
        values = np.column_stack((times, one.motion((times * 1e9).astype(np.int64))))
        rows, full, pace = disturbed(rng, values, activity=contact_s is None)
        heard = sensed(config, rows, full)
        key = f"{'D' if contact_s is None else 'F'}99_{SIMULATED}_R{number}/"
        arrays[f"{key}/x"], arrays[f"{key}/t_s"] = heard.x, heard.t_s
        if contact_s is not None:
            arrays[f"{key}/contact_s"] = np.array(contact_s / pace)
    _save(place, arrays)


def _save(place: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    beside = place.with_suffix(f".{os.getpid()}.tmp")
    with beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    beside.replace(place)


def made(recorded: Path, jobs: int) -> Path:
    """Make what is missing; returns the folder."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the processes fill the cores; threads within them only fight
    into = folder_of(recorded)
    into.mkdir(parents=True, exist_ok=True)
    todo = list(product(people(recorded), range(RECIPE.members * RECIPE.copies + 1)))
    with ProcessPoolExecutor(jobs) as pool:
        for done, _ in enumerate(pool.map(partial(_make, recorded, into), todo), 1):
            print(f"\rlistening: {done} of {len(todo)} people's copies", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    _make_simulated(into)
    return into


def _trials(place: Path) -> Iterator[tuple[str, str, dict[str, NDArray[np.generic]]]]:
    with np.load(place, allow_pickle=False) as archive:
        keys = [key.removesuffix("/x") for key in archive.files if key.endswith("/x")]
        for key in keys:
            name, variant = key.split("/")
            fields = ("x", "t_s", "guarding", "net_s", "contact_s", "impact_s")
            yield name, variant, {field: archive[f"{key}/{field}"] for field in fields if f"{key}/{field}" in archive.files}


def lessons(into: Path, learners: list[str], recipe: Recipe, member: int) -> list[Lesson]:
    """What the model's member 1, 2, … learns from: these people's trials and the simulated ones; mislabelled falls left out."""
    copies = (0, *range((member - 1) * recipe.copies + 1, member * recipe.copies + 1))
    return [
        Lesson(Sensed(trial["t_s"], trial["x"]), float(trial["contact_s"]) if "contact_s" in trial else None)
        for person, copy in [*product(learners, copies), (SIMULATED, 0)]
        for name, _, trial in _trials(into / f"{person}-{copy}.npz")
        if name not in MISLABELLED
    ]


def worn(into: Path, wearers: list[str]) -> list[Worn]:
    """These people's trials as worn, for judging."""
    return [
        Worn(
            name,
            variant,
            Sensed(trial["t_s"], trial["x"]),
            trial["guarding"].astype(np.bool_),
            float(trial["net_s"]) if "net_s" in trial else None,
            float(trial["impact_s"]) if "impact_s" in trial else None,
        )
        for person in wearers
        for name, variant, trial in _trials(into / f"{person}-0.npz")
    ]
