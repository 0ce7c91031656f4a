"""What happens in walk number n: who walks, what fails when, and whether and when they fall."""

from dataclasses import dataclass, replace
from random import Random

from msgspec.structs import replace as with_

from guardian.config import Config, load
from guardian.sim.exercises import FALLS, Session
from guardian.sim.exercises import fall as falling
from guardian.sim.falling import Fall
from guardian.sim.phases import Phase, Stand, Walk
from guardian.sim.population import TEST
from lab.campaign.failure import LSM, MPU, Failure, Kind
from lab.campaign.kinds import KINDS

ROUNDS = 9  # of all kinds, each with a fall and without; in every third of them a second failure comes along
WALKS = ROUNDS * len(KINDS) * 2
FIRST_S = 6.0  # guarding by then: still, settled and upright since some seconds
WELL_S = 1.0  # well again is what lasts this long
SURELY_DOWN_S = 5.0  # after an impact: the net beneath the model has had its 3 s
NEVER_S = 3600.0  # later than any walk ends


@dataclass(frozen=True)
class Happening:
    """A failure at its instant."""

    kind: Kind
    failure: Failure
    begin_s: float

    @property
    def end_s(self) -> float:
        """When its cause has ended."""
        return self.begin_s + self.failure.lasts_s


@dataclass(frozen=True)
class Plan:
    """A walk, all drawn."""

    number: int
    config: Config
    session: Session
    happenings: tuple[Happening, ...]
    falls_first: bool
    least_s: float  # it lasts at least this long ...
    most_s: float  # ... and, while an alert has not arrived, up to this

    @property
    def falls(self) -> bool:
        """Whether there is a fall in it."""
        return isinstance(self.session.script[-2], Fall)

    @property
    def onset_s(self) -> float:
        """When balance is lost; never: far away."""
        return self.session.truth.falls[0].onset_s if self.falls else NEVER_S

    @property
    def impact_s(self) -> float:
        """When the pelvis meets the floor; never: far away."""
        return (self.session.truth.falls[0].impact_s or NEVER_S) if self.falls else NEVER_S

    @property
    def ends_s(self) -> float:
        """When the last cause has ended."""
        return max(happening.end_s for happening in self.happenings)

    @property
    def back_s(self) -> float:
        """How long after that all must be well."""
        return max(happening.failure.back_s for happening in self.happenings)

    @property
    def title(self) -> str:
        """For people."""
        failing = "; ".join(f"{one.begin_s:.2f}-{one.end_s:.2f} s {one.kind.name} ({one.failure.done})" for one in self.happenings)
        fall = f"; falls at {self.onset_s:.2f} s ({self.session.truth.falls[0].cause})" if self.falls else ""
        return f"walk {self.number}, {self.config.imu.chip}: {failing}{fall}"


def kinds_of(number: int, luck: Random) -> tuple[Kind, ...]:
    """One or two: each kind in its turn, the second at random among those that do not meddle with the first."""
    turn, row = divmod(number // 2, len(KINDS))
    first = KINDS[row]
    if turn % 3 != 2:
        return (first,)
    others = [
        kind
        for kind in KINDS
        if not (kind.parts & first.parts or kind.at_power_on or {kind.chip, first.chip} == {LSM, MPU})
        and not kind.settings.keys() & first.settings
    ]
    return first, luck.choice(others)


def plan(number: int) -> Plan:
    """Walk `number` (0 …)."""
    luck = Random(f"walk {number}")
    kinds = kinds_of(number, luck)
    chip = next((kind.chip for kind in kinds if kind.chip), luck.choice((LSM, LSM, MPU)))
    settings = {"imu": {"chip": chip, "address": 0x68 if chip == MPU else 0x6A}}
    for kind in kinds:
        settings |= dict(kind.settings)
    config = load(None, settings)
    failures = [kind.draw(luck, config) for kind in kinds]
    falls, early = number % 2 == 0, luck.random() < 0.5
    standing = any(kind.at_power_on for kind in kinds)
    falls_first = falls and early and all(kind.after_a_fall for kind in kinds) and not standing

    session = falling("walk", luck.choice(FALLS["walk"]), TEST, number)
    # upright, and the belt a little up at the back: the floor is out of the beam's range, so what is behind is known
    who = with_(session.who, lean_back_deg=0.0, belt_pitch_deg=luck.uniform(4.0, 8.0))
    stand, walk, fall, lie = session.script
    assert isinstance(walk, Walk)

    def lasting(stand_s: float, walk_s: float, *then: Phase) -> Session:
        script = (Stand(round(stand_s, 2)), with_(walk, seconds=round(walk_s, 2)), *then)
        return replace(session, who=who, script=script, seconds=sum(phase.seconds for phase in script[:3]) + 25.0)

    if falls_first:
        fallen = lasting(stand.seconds, luck.uniform(5, 8), fall, lie)
        impact_s = fallen.truth.falls[0].impact_s
        assert impact_s is not None
        begins = [impact_s + luck.uniform(SURELY_DOWN_S, SURELY_DOWN_S + 12) for _ in failures]
        ends = max(begin + failure.lasts_s for begin, failure in zip(begins, failures, strict=True))
        back = max(failure.back_s for failure in failures)
        happenings = tuple(Happening(*one) for one in zip(kinds, failures, begins, strict=True))
        grace_s = config.policy.grace_s
        return Plan(
            number, config, fallen, happenings, True, max(ends + back + WELL_S + 1, impact_s + grace_s + 4), ends + back + 2 * grace_s + 60
        )

    begins = [0.0 if kind.at_power_on else luck.uniform(FIRST_S, FIRST_S + 6) for kind in kinds]
    ends = max(begin + failure.lasts_s for begin, failure in zip(begins, failures, strict=True))
    well_s = ends + max(failure.back_s for failure in failures) + WELL_S + 1.5
    happenings = tuple(Happening(*one) for one in zip(kinds, failures, begins, strict=True))
    stands_s = ends + 2.5 if standing else stand.seconds
    if not falls:
        whole = lasting(stands_s, NEVER_S)
        return Plan(number, config, whole, happenings, False, well_s, well_s + 60)
    fallen = lasting(stands_s, max(well_s - stands_s, 3.0) + luck.uniform(0, 2), fall, lie)
    onset_s = fallen.truth.falls[0].onset_s
    return Plan(number, config, fallen, happenings, False, onset_s + config.policy.grace_s + 4, onset_s + 2 * config.policy.grace_s + 40)
