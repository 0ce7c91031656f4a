"""Teaching the network: early, and quiet in everything that is no fall.

The loss of a crop of CROP steps has three parts. Each step of the `positive_s` before contact with the ground should fire, and the nearer
the surer: weights rise from `first_weight` to 1, so firing early pays. Each step of an activity should not, weighted by its own score: what
is already quiet counts little. And the highest score of a crop that holds no fall is punished once more, since one step is enough for a
false alarm. Steps between `ignored_s` and `positive_s` before contact, and after it, teach nothing. Crops that scored high are drawn more
often (hard negatives). The weights kept are the running mean of the last few hundred batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from guardian.monitor.network import INPUT_ONE
from lab.falls.senses import Sensed, Steps

CROP = 200  # steps: 4 s
TOGETHER = 64  # trials scored at once


@dataclass(frozen=True)
class Lesson:
    """One trial, disturbed or not."""

    sensed: Sensed
    contact_s: float | None  # falls only


@dataclass(frozen=True)
class Recipe:
    """What is taught, and how."""

    name: str = "gru"
    members: int = 3  # networks whose logits are averaged
    hidden: int = 64
    copies: int = 5  # disturbed ones, others for each member
    blind: bool = False  # to the vertical and the vertical velocity
    epochs: int = 40
    falls: int = 960  # crops of falls an epoch ...
    others: int = 3200  # ... and of all else
    batch: int = 64
    rate: float = 4e-3  # highest, one cycle
    decay: float = 0.02
    drop: float = 0.2  # of the state's units, a crop long
    noise: float = 0.02  # on every input
    yaw_deg: float = 35.0
    tilt_deg: float = 7.5  # σ: what the alignment leaves
    lively: float = 0.15  # ± natural logarithm of what is added to gravity
    positive_s: float = 0.55
    first_weight: float = 0.15
    ignored_s: float = 1.2
    settle: int = 15  # steps at a crop's start that teach nothing: the state begins at zero there, and in the device it does not
    step_weight: tuple[float, float] = (0.04, 0.02)  # falls, activities
    quiet_weight: float = 0.3  # an activity's step weighs this plus its score
    crop_weight: float = 0.5
    floor: float = 0.03  # a crop is drawn at least this often, beside its score
    mean: float = 0.995


RECIPE = Recipe()
PLAIN = Recipe(name="plain-gru", members=1, hidden=40, copies=0, blind=True, epochs=30)  # a baseline: force and rate, no disturbed copies


class Net(nn.Module):
    """A GRU and one linear unit, in float."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.g = nn.GRU(20, recipe.hidden)
        self.o = nn.Linear(recipe.hidden, 1)
        nn.init.constant_(self.o.bias, -2.0)
        self._drop, self._blind = recipe.drop, recipe.blind

    def weights(self) -> dict[str, NDArray[np.float64]]:
        """As what is exported."""
        found = {name: value.double().numpy().copy() for name, value in self.state_dict().items()}
        if self._blind:
            found["g.weight_ih_l0"].reshape(-1, 2, 10)[:, :, 6:] = 0
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(steps, crops, 20) -> logits (steps, crops)."""
        if self._blind:
            x = x * torch.tensor([1.0] * 6 + [0.0] * 4).repeat(2)
        h, _ = self.g(x)
        if self.training and self._drop:
            h = h * ((torch.rand(1, *h.shape[1:]) > self._drop) / (1 - self._drop))
        logits: Tensor = self.o(h)[..., 0]
        return logits


def as_input(x: Steps) -> NDArray[np.float32]:
    """Whole numbers as the network's floats."""
    return x.astype(np.float32) / np.float32(INPUT_ONE)


def logits_of(members: Sequence[Net], trials: Sequence[Steps]) -> list[NDArray[np.float64]]:
    """The model's logit at each step of each trial (steps, 20): the mean of its members'. Trials of like length go through together."""
    found: list[NDArray[np.float64]] = [np.zeros(0)] * len(trials)
    by_length = sorted(range(len(trials)), key=lambda at: len(trials[at]))
    with torch.no_grad():
        for first in range(0, len(trials), TOGETHER):
            batch = by_length[first : first + TOGETHER]
            x = np.zeros((len(trials[batch[-1]]), len(batch), 20), np.float32)
            for column, at in enumerate(batch):
                x[: len(trials[at]), column] = as_input(trials[at])
            mean = np.mean([net(torch.from_numpy(x)).double().numpy() for net in members], axis=0)
            for column, at in enumerate(batch):
                found[at] = mean[: len(trials[at]), column]
    return found


def targets(lesson: Lesson, recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Per step: how much it should fire, and whether it should not."""
    steps = len(lesson.sensed.t_s)
    fire, quiet = np.zeros(steps, np.float32), np.ones(steps, np.float32)
    if lesson.contact_s is not None:
        ahead = lesson.contact_s - lesson.sensed.t_s
        due = (ahead >= -0.02) & (ahead < recipe.positive_s)
        fire[due] = recipe.first_weight + (1 - recipe.first_weight) * np.clip(1 - ahead[due] / recipe.positive_s, 0, 1)
        quiet[ahead < recipe.ignored_s] = 0
    return fire, quiet


def turned(x: NDArray[np.float32], rng: np.random.Generator, recipe: Recipe) -> NDArray[np.float32]:
    """(steps, crops, 20) as another belt on another body would feel it: turned, tilted, mirrored, livelier, scaled, noisy."""
    steps, crops, _ = x.shape
    yaw = np.radians(rng.uniform(-recipe.yaw_deg, recipe.yaw_deg, crops))
    tilt = np.radians(np.abs(rng.normal(0, recipe.tilt_deg, crops)))
    toward = rng.uniform(0, 2 * np.pi, crops)
    rotation = np.zeros((crops, 3, 3))
    rotation[:, 0, 0] = rotation[:, 1, 1] = np.cos(yaw)
    rotation[:, 1, 0] = np.sin(yaw)
    rotation[:, 0, 1] = -rotation[:, 1, 0]
    rotation[:, 2, 2] = 1
    k = np.zeros((crops, 3, 3))
    k[:, 0, 2], k[:, 1, 2] = np.sin(toward), -np.cos(toward)
    k[:, 2, 0], k[:, 2, 1] = -k[:, 0, 2], -k[:, 1, 2]
    rotation = (np.eye(3) + np.sin(tilt)[:, None, None] * k + (1 - np.cos(tilt))[:, None, None] * (k @ k)) @ rotation
    vectors = x.reshape(steps, crops, 2, 10)[..., :9].reshape(steps, crops, 2, 3, 3)  # force, rate, vertical
    vectors = np.einsum("bij,tbskj->tbski", rotation.astype(np.float32), vectors)
    signs = np.ones((crops, 3, 3), np.float32)
    mirrored = rng.random(crops) < 0.5
    signs[mirrored, 0, 1] = signs[mirrored, 2, 1] = -1  # y of what points
    signs[mirrored, 1, 0] = signs[mirrored, 1, 2] = -1  # x and z of what turns
    signs[:, 0] *= rng.uniform(0.97, 1.03, (crops, 1)).astype(np.float32)
    signs[:, 1] *= rng.uniform(0.95, 1.05, (crops, 1)).astype(np.float32)
    livelier = np.exp(rng.uniform(-recipe.lively, recipe.lively, (1, crops, 1, 1))).astype(np.float32)
    vertical = vectors[:, :, :, 2]
    vectors[:, :, :, 0] = vertical + livelier * (vectors[:, :, :, 0] - vertical)
    vectors *= signs[None, :, None]
    other = np.concatenate((vectors.reshape(steps, crops, 2, 9), x.reshape(steps, crops, 2, 10)[..., 9:]), axis=-1).reshape(x.shape)
    noise = rng.standard_normal(x.shape, dtype=np.float32)
    return np.asarray(other + noise * np.float32(recipe.noise), dtype=np.float32)


class Crops:
    """Which stretches of which lessons there are, and how often each is drawn."""

    def __init__(self, lessons: Sequence[Lesson], recipe: Recipe, rng: np.random.Generator) -> None:
        self._lessons = lessons
        self._recipe = recipe
        self._rng = rng
        self.targets = [targets(lesson, recipe) for lesson in lessons]
        self._falls = [i for i, lesson in enumerate(lessons) if lesson.contact_s is not None]
        self._others = np.array(
            [
                (i, start)
                for i, (_, quiet) in enumerate(self.targets)
                for start in range(0, max(1, len(quiet) - CROP + 1), CROP // 2)
                if quiet[start : start + CROP].sum() >= min(60, len(quiet))
            ]
        )
        self._hard = np.ones(len(self._others))

    def epoch(self) -> list[tuple[int, int, int]]:
        """(lesson, first step, row of what is drawn by hardness or −1), shuffled."""
        rng, recipe = self._rng, self._recipe
        drawn = []
        for i in rng.choice(self._falls, recipe.falls, replace=recipe.falls > len(self._falls)).tolist():
            sensed, contact_s = self._lessons[i].sensed, self._lessons[i].contact_s
            last = int(np.searchsorted(sensed.t_s, contact_s))
            drawn.append((i, max(0, min(len(sensed.t_s) - CROP, last - int(rng.integers(90, CROP - 2)))), -1))
        count = min(recipe.others, len(self._others))
        for row in rng.choice(len(self._others), count, replace=False, p=self._hard / self._hard.sum()).tolist():
            i, start = self._others[row].tolist()
            moved = start + int(rng.integers(-CROP // 4, CROP // 4))
            drawn.append((i, max(0, min(moved, len(self._lessons[i].sensed.t_s) - CROP)), row))
        rng.shuffle(drawn)
        return drawn

    def batch(self, drawn: Sequence[tuple[int, int, int]]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Inputs (CROP, crops, 20), and the two targets."""
        x = np.zeros((CROP, len(drawn), 20), np.float32)
        fire, quiet = np.zeros((CROP, len(drawn)), np.float32), np.zeros((CROP, len(drawn)), np.float32)
        for column, (i, start, _) in enumerate(drawn):
            part = as_input(self._lessons[i].sensed.x[start : start + CROP])
            x[: len(part), column] = part
            fire[: len(part), column] = self.targets[i][0][start : start + CROP]
            quiet[: len(part), column] = self.targets[i][1][start : start + CROP]
            if start:
                quiet[: self._recipe.settle, column] = 0
        return x, fire, quiet

    def scored(self, drawn: Sequence[tuple[int, int, int]], highest: NDArray[np.float32]) -> None:
        """Remember how hard these were: their highest score, 0..1."""
        for (_, _, row), score in zip(drawn, highest.tolist(), strict=True):
            if row >= 0:
                self._hard[row] = 0.6 * self._hard[row] + 0.4 * (self._recipe.floor + score)


def loss_of(logits: Tensor, fire: Tensor, quiet: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """The loss, and each crop's highest logit where it should be quiet."""
    softplus = nn.functional.softplus
    crops = logits.shape[1]
    score = torch.sigmoid(logits.detach())
    missed = (softplus(-logits) * fire).sum() / crops
    alarmed = (softplus(logits) * quiet * (recipe.quiet_weight + score)).sum() / crops
    highest = torch.where(quiet > 0, logits, torch.full_like(logits, -20.0)).max(0).values
    worst = (softplus(highest) * (quiet.sum(0) > 0)).sum() / crops
    loss = recipe.step_weight[0] * missed + recipe.step_weight[1] * alarmed + recipe.crop_weight * worst
    return loss, highest.detach()


def taught(lessons: Sequence[Lesson], recipe: Recipe, seed: int) -> Net:
    """A trained network, in float. The same lessons, recipe, seed and PyTorch give the same network."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    crops = Crops(lessons, recipe, rng)
    net = Net(recipe)
    batches = (recipe.falls + recipe.others) // recipe.batch
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=recipe.epochs * batches, pct_start=0.1)
    mean = {name: value.clone() for name, value in net.state_dict().items()}
    for _ in range(recipe.epochs):
        drawn = crops.epoch()
        for first in range(0, len(drawn) - recipe.batch + 1, recipe.batch):
            part = drawn[first : first + recipe.batch]
            x, fire, quiet = crops.batch(part)
            logits = net(torch.from_numpy(turned(x, rng, recipe)))
            loss, highest = loss_of(logits, torch.from_numpy(fire), torch.from_numpy(quiet), recipe)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            if schedule.last_epoch < recipe.epochs * batches:
                schedule.step()
            crops.scored(part, torch.sigmoid(highest).numpy())
            for name, value in net.state_dict().items():
                mean[name].mul_(recipe.mean).add_(value, alpha=1 - recipe.mean)
    net.load_state_dict(mean)
    return net.eval()
