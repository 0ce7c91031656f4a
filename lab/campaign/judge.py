"""A walk held against the invariants. What must be so follows from the plan; bounds stand where they are used, with their reason.

1. No crash: no exception comes out of the device, of the GPIO library's thread, or of reading what it has recorded. (An output that raises
   is caught by its guard and told as a fault; such walks are counted apart.)
2. No silent blindness. Each due is told in the verdict within BAR_S of running loop after its definition, and told on until its end, but
   for BAR_S where one cause of it follows another; a blind sense is neither "guarding" nor "clear" meanwhile; the sound is on the line
   within BAR_S too, not counting what is more urgent. A program that hangs is killed, silenced, and the next one sounds within RESTARTED_S;
   the line is as the table of sounds has it in every tick, and off between two lives.
3. No critical alert lost: what the device raised has reached the caregiver in the end.
4. A fall in a healthy instant is told, and its alert arrives.
5. When the causes have ended, all is well within the row's bound, for WELL_S.
"""

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import dropwhile, pairwise

from guardian.config import ns
from guardian.contract import EVENTS
from guardian.verdict import Obstacle, State
from lab.campaign.failure import ECHO, IMU, Due
from lab.campaign.plan import WELL_S, Happening
from lab.campaign.walk import Look, Walk

BAR_S = 0.5
RESTARTED_S = 5.0  # from the hang, or the kill, to the first sound of the next program
FALL_TOLD_S = 12.0  # after the impact: lying_s and the net's 3 s are less
TURNS_S = 7.0  # a fault that comes again so soon was never gone for the wearer (fault_clear_s) or the ear (repeat_s): not heard anew
INVARIANTS = ("no crash", "no silent blindness", "no alert lost", "falls told", "recovery")


@dataclass
class Result:
    """What came of a walk. `checks` and `violations` by invariant (1-5)."""

    number: int
    title: str
    kinds: tuple[str, ...]
    falls: bool
    told_s: dict[str, list[float]] = field(default_factory=dict)  # by kind: after its definition
    heard_s: dict[str, list[float]] = field(default_factory=dict)
    back_s: float | None = None
    checks: Counter[int] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)
    raised: tuple[str, ...] = ()  # outputs that raised and were caught
    cancelled: bool = False  # a fall was suspected where none was, and cancelled
    restarts: int = 0
    held_s: float = 0.0  # the longest that one tone was stretched by a stall

    def check(self, invariant: int, kept: bool, otherwise: str) -> None:
        """Count it."""
        self.checks[invariant] += 1
        if not kept:
            self.violations.append((invariant, otherwise))


def judge(walk: Walk) -> Result:
    """All of them."""
    plan = walk.plan
    result = Result(plan.number, plan.title, tuple(one.kind.name for one in plan.happenings), plan.falls)
    result.raised, result.restarts = tuple(sorted(walk.raised)), len(walk.deaths)
    result.check(1, not walk.crash, walk.crash)
    if walk.crash and not walk.looks:
        return result
    dumb = any(one.failure.dumb for one in plan.happenings)
    for happening in plan.happenings:
        for due in happening.failure.dues:
            for life in _lives(walk.looks):
                _told(walk, result, happening, due, life, dumb)
    _restarts(walk, result, dumb)
    _alerts(walk, result)
    _falls(walk, result)
    _recovery(walk, result)
    return result


def _lives(looks: list[Look]) -> Iterator[list[Look]]:
    life: list[Look] = []
    for look in looks:
        if life and look.life != life[-1].life:
            yield life
            life = []
        life.append(look)
    if life:
        yield life


def _told(walk: Walk, result: Result, happening: Happening, due: Due, life: list[Look], dumb: bool) -> None:
    """One due, in one life of the program: begun anew, since a program that starts knows nothing."""
    from_ns, until_ns = ns(happening.begin_s + due.from_s), ns(happening.begin_s + due.until_s)
    if (due.from_s or not due.again) and life[0].t_ns > ns(happening.begin_s):
        return  # what it is about was in another life
    during = [look for look in life if from_ns <= look.t_ns < until_ns]
    if not during:
        return
    before = [look for look in life if look.t_ns < from_ns]
    if due.line:
        during = [*dropwhile(lambda look: not look.askew, during)]
        if not during:
            return
        before = [during[0]]
    met_ns = (before[-1].ran_ns if before else during[0].ran_ns) + ns(due.met_s)
    owed = [look for look in during if look.ran_ns > met_ns + ns(BAR_S)]
    if not owed:
        return
    told = next((look for look in during if _tells(look, due)), None)
    late = "never" if told is None else f"{(told.ran_ns - met_ns) / 1e9:.2f} s after its definition"
    result.check(2, told is not None and told.ran_ns <= met_ns + ns(BAR_S), f"{happening.kind.name}: told {late}")
    if told is None:
        return
    result.told_s.setdefault(happening.kind.name, []).append((told.ran_ns - met_ns) / 1e9)
    silent = _blind(owed, due)
    what = (
        "" if silent is None else f"{silent.verdict.state}, {silent.verdict.obstacle}, {silent.verdict.faults} at {silent.t_ns / 1e9:.2f} s"
    )
    result.check(2, silent is None, f"{happening.kind.name}: blind, and told: {what}")
    if not dumb and not _sounded_before(walk, due, from_ns):
        _heard(walk, result, happening, due, [look for look in life if look.t_ns >= from_ns], met_ns)


def _blind(owed: list[Look], due: Due) -> Look | None:
    """The first tick that says "guarding" or "clear" of a blind sense, or that has not told for BAR_S."""
    told_ns = owed[0].ran_ns
    for look in owed:
        if _tells(look, due):
            told_ns = look.ran_ns
        if not _unsure(look, due) or look.ran_ns - told_ns > ns(BAR_S):
            return look
    return None


def _tells(look: Look, due: Due) -> bool:
    return not due.names.isdisjoint(look.verdict.faults)


def _unsure(look: Look, due: Due) -> bool:
    """Neither "guarding" nor "clear" of the sense that is blind."""
    if due.names == IMU:
        return look.verdict.state is not State.GUARDING
    return due.names != ECHO or look.verdict.obstacle is not Obstacle.CLEAR


def _sounded_before(walk: Walk, due: Due, from_ns: int) -> bool:
    """Whether another failure of the plan owed the same shortly before: then its sound takes turns with others already."""
    return any(
        not other.names.isdisjoint(due.names) and ns(one.begin_s + other.from_s) < from_ns < ns(one.begin_s + other.until_s + TURNS_S)
        for one in walk.plan.happenings
        for other in one.failure.dues
    )


def _heard(walk: Walk, result: Result, happening: Happening, due: Due, looks: list[Look], met_ns: int) -> None:
    """Its sound on the line within BAR_S, counted from the end of what is more urgent."""
    sounds = walk.config.sounds
    least = min(sounds[name].priority for name in due.names)
    by_ns = met_ns + ns(BAR_S)
    for look in looks:
        alert = look.verdict.alert
        if alert is not None and alert.sound in due.names and look.on:
            after_s = BAR_S + (look.ran_ns - by_ns) / 1e9
            result.heard_s.setdefault(happening.kind.name, []).append(after_s)
            result.check(2, after_s <= BAR_S, f"{happening.kind.name}: heard after {after_s:.2f} s without anything more urgent")
            return
        if alert is not None and alert.sound not in due.names and sounds[alert.sound].priority > least:
            by_ns = max(by_ns, look.ran_ns + ns(BAR_S))
        elif look.ran_ns > by_ns + ns(BAR_S):
            break
        if look.t_ns >= ns(happening.begin_s + due.until_s) and look.ran_ns <= by_ns:
            return  # it was over before its turn came
    if looks[-1].ran_ns <= by_ns:
        return  # so was the program, or the walk
    result.check(2, False, f"{happening.kind.name}: not heard")


def _restarts(walk: Walk, result: Result, dumb: bool) -> None:
    """Kills, silence between two lives, and the line in every tick."""
    result.check(2, walk.askew == 0, f"the buzzer's line was not as its sound has it in {walk.askew} ticks")
    line, off = walk.bench.sound_log, [False]
    born_s = [born_ns / 1e9 for born_ns in walk.born_ns]
    for one in walk.plan.happenings:
        if one.failure.killing:
            bitten = any(one.begin_s <= death.killed_s <= one.begin_s + 2.1 for death in walk.deaths)
            result.check(2, bitten, f"hung at {one.begin_s:.2f} s and not killed: {walk.deaths}")
    for death in walk.deaths:
        next_s = next((born for born in born_s if born > death.killed_s), None)
        on = [t_ns / 1e9 for t_ns, is_on in line if is_on and death.silent_s <= t_ns / 1e9]
        levels = [is_on for t_ns, is_on in line if t_ns / 1e9 <= death.silent_s] or off
        if dumb:
            continue
        result.check(
            2, not levels[-1] and (next_s is None or not on or on[0] >= next_s), f"killed at {death.killed_s:.2f} s, and the buzzer on"
        )
        hung_s = next(
            (one.begin_s for one in walk.plan.happenings if one.failure.killing and one.begin_s <= death.killed_s), death.killed_s
        )
        mended_s = max([hung_s, *(one.end_s for one in walk.plan.happenings if one.kind.name == "program: broken config")])
        after_s = on[0] - mended_s if on else None
        result.check(2, after_s is not None and after_s <= RESTARTED_S, f"killed at {death.killed_s:.2f} s, next sound {after_s} s after")
    # nobody sets the line while the program stands still: a tone goes on until the next tick, or until systemd has silenced it
    stretched_s = [
        (later.t_ns - earlier.t_ns) / 1e9 for earlier, later in pairwise(walk.looks) if earlier.on and earlier.life == later.life
    ]
    for death in walk.deaths:
        last = next((look for look in reversed(walk.looks) if look.t_ns / 1e9 <= death.killed_s), None)
        if last is not None and last.on:
            stretched_s.append(death.silent_s - last.t_ns / 1e9)
    result.held_s = max(stretched_s, default=0.0)


def _alerts(walk: Walk, result: Result) -> None:
    came = walk.arrived()
    for event in walk.events:
        if EVENTS[event.event_type] == "critical":
            result.check(3, event.id in came, f"{event.event_type} {event.id} never reached the caregiver")


def _falls(walk: Walk, result: Result) -> None:
    plan = walk.plan
    alarms = [event for event in walk.events if event.event_type in ("fall_suspected", "fall")]
    early = [event for event in alarms if event.t_ns < ns(plan.onset_s)]
    result.cancelled = bool(early)
    if not plan.falls:
        return
    told = [event for event in alarms if ns(plan.onset_s) <= event.t_ns <= ns(plan.impact_s + FALL_TOLD_S)]
    result.check(4, bool(told), f"the fall at {plan.onset_s:.2f} s was not told within {FALL_TOLD_S:.0f} s")
    came = walk.arrived()
    pushed = [event for event in walk.events if event.event_type == "fall" and event.t_ns >= ns(plan.onset_s)]
    result.check(4, any(event.id in came for event in pushed), "its alert did not arrive")


def _recovery(walk: Walk, result: Result) -> None:
    plan = walk.plan
    ended_ns = max([ns(plan.ends_s), *(born for born in walk.born_ns[1:])])
    after = [look for look in walk.looks if look.t_ns >= ended_ns and (plan.falls_first or look.t_ns < ns(plan.onset_s))]
    well = (State.DOWN, State.FALLEN) if plan.falls_first else (State.GUARDING,)
    ill = [look.t_ns for look in after if look.verdict.faults or look.verdict.state not in well]
    if not after:
        result.check(5, False, "the walk ended before its failures")
        return
    spans = pairwise([ended_ns, *ill, after[-1].t_ns])
    back_ns = next((earlier for earlier, later in spans if later - earlier >= ns(WELL_S)), None)
    result.back_s = None if back_ns is None else (back_ns - ended_ns) / 1e9
    last = after[-1].verdict
    otherwise = f"not well within {plan.back_s} s but after {result.back_s} s; at the end {last.state}, {last.faults}"
    result.check(5, result.back_s is not None and result.back_s <= plan.back_s, otherwise)


def middle(values: list[float]) -> str:
    """Median and maximum, for a table."""
    return f"{statistics.median(values):.2f} | {max(values):.2f}" if values else " | "
