"""From scores to decisions: when each trial would alarm at a threshold, and the choice of the two operating points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lab.score import EXERCISE, activity

Floats = NDArray[np.float64]

RESULTS = Path(__file__).with_name("crossvalidated.json")  # what the cross-validation found; kept in the repository
FOLD_MODELS = Path(__file__).with_name("folds")  # kept too, so that whoever changes the device can judge it again

EXERCISE_SHARE = 0.005  # of exercise and reversed trials may alarm at the exercise point ...
EVERYDAY_SHARE = (
    0.015  # ... and of all activities at the everyday point: what is aimed at on strangers, with no margin, for a missed fall is worse
)

APART_LOGIT = 0.05  # least between the two: the device's score is a line through both points (guardian.monitor.fall.Learned)


@dataclass(frozen=True)
class Outcome:
    """One trial: the highest logit while guarding (a fall's: within the window that counts), and whose it is."""

    name: str
    variant: str
    highest: float

    @property
    def activity(self) -> str:
        """D05."""
        return activity(self.name)

    @property
    def in_exercise(self) -> bool:
        """Counts at the exercise point."""
        return bool(self.variant) or self.activity in EXERCISE


def quiet_at(highest: Floats, share: float) -> float:
    """The lowest threshold (to 0.01) at which no more than `share` of the trials would alarm."""
    ranked = np.sort(highest)[::-1]
    return math.floor(float(ranked[int(share * len(ranked))]) * 100 + 1) / 100


def operating_points(activities: Sequence[Outcome]) -> tuple[float, float]:
    """(exercise, everyday) logits from activities of people that the network has not seen. Everyday is never the more sensitive one."""
    exercise = quiet_at(np.array([one.highest for one in activities if one.in_exercise]), EXERCISE_SHARE)
    everyday = quiet_at(np.array([one.highest for one in activities if not one.variant]), EVERYDAY_SHARE)
    return exercise, max(everyday, exercise + APART_LOGIT)
