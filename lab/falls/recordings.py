"""What there is to learn from: trials, when they hit the ground, and who is kept aside when."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.evaluate import Job, trials
from lab.score import REVERSED, activity, person

Array = NDArray[np.float64]
FOLDS = 5

# Their impact_s is a step of the jog that goes on for 1 to 1.5 s before the fall (the trunk is upright then and after): no label to learn
# from. They are scored like all others.
MISLABELLED = frozenset(f"F05_SA23_R0{i}" for i in range(1, 6))


@dataclass(frozen=True)
class Recording:
    """One trial in body axes: `values` (n, 7) t_s, specific force (m/s²), angular rate (rad/s)."""

    name: str  # F02_SA08_R01
    variant: str  # "" or REVERSED
    values: Array
    impact_s: float | None  # falls only
    contact_s: float | None

    @property
    def activity(self) -> str:
        """F02."""
        return activity(self.name)

    @property
    def person(self) -> str:
        """SA08."""
        return person(self.name)

    @property
    def is_fall(self) -> bool:
        """A fall, not an activity."""
        return self.activity.startswith("F")


def people(folder: Path) -> list[str]:
    """Everybody, adults and elderly, sorted. Raises FileNotFoundError naming the folder where nobody is."""
    found = sorted(path.stem for path in folder.glob("*.npz"))
    if not found or not (folder / "fall_times.csv").exists():
        raise FileNotFoundError(f"{folder} holds no recordings (<person>.npz) or no fall_times.csv: is SISFALL the right folder?")
    return found


def fold_of(everybody: list[str]) -> dict[str, int]:
    """Five folds by person, each with a fifth of the adults and of the elderly."""
    adults = [person for person in everybody if not person.startswith("SE")]
    elderly = [person for person in everybody if person.startswith("SE")]
    return {person: i % FOLDS for i, person in enumerate([*adults, *elderly])}


def recordings(folder: Path, person: str) -> Iterator[Recording]:
    """All of one person's trials, and the locomotion reversed in time. A fall without a known time is left out."""
    with (folder / "fall_times.csv").open(encoding="utf-8") as listed:
        times = {row["trial"]: (float(row["impact_s"]), float(row["contact_s"])) for row in csv.DictReader(listed)}
    for variant in ("", REVERSED):
        for name, values in trials(Job(folder / f"{person}.npz", variant)):
            impact_s, contact_s = times.get(name, (None, None))
            if name.startswith("F") and impact_s is None:
                continue
            yield Recording(name, variant, values, impact_s, contact_s)


def digest(folder: Path, everybody: list[str]) -> str:
    """SHA-256 over the files that were learnt from."""
    total = hashlib.sha256()
    for path in [*(folder / f"{code}.npz" for code in everybody), folder / "fall_times.csv"]:
        total.update(path.name.encode())
        total.update(path.read_bytes())
    return total.hexdigest()
