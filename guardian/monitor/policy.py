"""What the guard does about what is so: states, transitions, events and sounds as tables.

Theory of operation. Each tick the monitor's parts say what is so; `_look` gathers it into Facts, with how long each thing has been so. The
rows of TRANSITIONS are then read from top to bottom, and the first whose state matches and whose condition holds is taken, at
most one a tick. A row says in words when it applies, where it leads, and what is told. No row counts ticks, and timers
run on through IMU faults: not upright stays not upright until it is seen otherwise.

One session is of one exercise: another exercise, chosen by a caregiver or by two short presses, ends it and begins the next in the same
tick, so that the nets that need a session are never without one.

An alarm opens on entering DOWN or FALLEN and keeps the id of the event that opened it until it is cancelled or cleared; FALLEN is left
only by a person: the wearer holding the button upright, or a caregiver's clear that names the alarm.
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from guardian.config import Config, Exercise, ns
from guardian.frame import Command, Fault, Frame
from guardian.monitor.button import ButtonPresses, Press
from guardian.monitor.coach import Coach, Said
from guardian.monitor.estimate import Pose
from guardian.monitor.fall import FallSigns
from guardian.monitor.gait import Stride
from guardian.monitor.health import Condition
from guardian.monitor.obstacle import Behind
from guardian.monitor.quality import Quality
from guardian.monitor.repetitions import Reps
from guardian.monitor.sound import SoundChoice
from guardian.monitor.summary import Summary, summary_of
from guardian.verdict import Alarm, Direction, Event, Evidence, Motion, Obstacle, Posture, Resume, Session, State, Verdict

NEVER = 1 << 62  # ns; older than anything

# before Python 3.12 to look an enum's member up costs as much as a call
OFF, SETTLING, GUARDING = State.OFF, State.SETTLING, State.GUARDING
IMMINENT, DOWN, FALLEN = State.IMMINENT, State.DOWN, State.FALLEN
UPRIGHT, NOT_UPRIGHT, POSTURE_UNKNOWN = Posture.UPRIGHT, Posture.DOWN, Posture.UNKNOWN
CAUTION, STOP = Obstacle.CAUTION, Obstacle.STOP
ALARM = (DOWN, FALLEN)
UNALARMED = (OFF, SETTLING, GUARDING, IMMINENT)


class Facts(Struct, frozen=True, gc=False):
    """What is so in this tick, and for how long (ns)."""

    t_ns: int
    in_state_ns: int
    session: bool
    exercise: Exercise
    press: Press
    imu_ok: bool
    settled: bool
    posture: Posture
    upright: bool
    walking_upright_ns: int  # without a break, within this state
    not_upright_ns: int | None  # down, and not seen otherwise since; None while upright or leaning
    not_known_upright_ns: int
    upright_since_alarm: bool  # upright once since the last alarm ended, or since lying down was allowed
    firing: bool
    quiet_ns: int  # since the fall rule last fired
    impact_ns: int  # since the last impact that counts
    impact_in_state: bool  # one in the tick that began it counts: after a stall both may stand in one frame
    motionless_ns: int  # no body motion above sensor noise
    off_not_worn: bool
    told_not_guarding: bool
    since_long_lie_ns: int
    holds: int  # of clear_hold_s with posture unknown, within this state and clear_twice_s: the how manieth was released in this tick
    acknowledged: bool
    command: Command | None  # a caregiver's, naming the open alarm where it must; or the system's
    signs: Evidence  # what the fall rule saw
    motion: Motion


class Times(Struct, frozen=True):
    """The policy's durations, ns."""

    imminent: int
    recovered: int
    grace: int
    cancel_after: int
    cancel_press: int
    cancel_walk: int
    sos_hold: int
    clear_hold: int
    stuck: int
    long_lie: int
    wake_walk: int
    not_guarding: int
    impact_down: int
    torn_wire: int
    not_worn: int


class Row(Struct, frozen=True):
    """One line of the table: in these states, when this is so, go there and tell this."""

    states: tuple[State, ...]
    when: str
    so: Callable[[Facts, Times], bool]
    to: State | None  # None: stay
    event: str = ""  # "guarding" is told as session_started when no session is open
    sound: str = ""  # played once


def _press_cancels(f: Facts, t: Times) -> bool:
    begun_ns = f.in_state_ns - f.press.held_ns  # after DOWN began
    return f.press.released and f.press.held_ns <= t.cancel_press and begun_ns >= t.cancel_after


def _held(f: Facts, hold_ns: int) -> bool:
    """Held this long, in a press that has not already called for help."""
    return f.press.pressed and f.press.held_ns >= hold_ns


def _upright_release(f: Facts, t: Times) -> bool:
    """Released after a hold long enough to clear and too short to be a stuck button, begun in this state, upright throughout."""
    return f.press.released and t.clear_hold <= f.press.held_ns < t.stuck and f.press.held_ns <= f.in_state_ns and f.press.upright


TRANSITIONS: tuple[Row, ...] = (
    # the system and the wearer's own word come first
    Row(ALARM, "told to power off: the alarm stays open, journalled", lambda f, t: _asked(f, "power_off"), None),
    Row(UNALARMED, "told to power off", lambda f, t: _asked(f, "power_off"), OFF, "session_ended"),
    Row((OFF, SETTLING, GUARDING, IMMINENT, DOWN), "button held 2 s", lambda f, t: _held(f, t.sos_hold), FALLEN, "sos"),
    Row((SETTLING, GUARDING, IMMINENT), "three short presses", lambda f, t: f.press.triple, OFF, "session_ended", "session_ended"),
    # OFF
    Row((OFF,), "short press", lambda f, t: f.press.short, SETTLING),
    Row((OFF,), "after not worn: walking upright 3 s", lambda f, t: f.off_not_worn and f.walking_upright_ns >= t.wake_walk, SETTLING),
    # the nets under the model
    Row(
        (SETTLING, GUARDING),
        "impact, then not upright within 3 s",
        lambda f, t: f.session and f.impact_ns <= t.impact_down and f.posture is NOT_UPRIGHT,
        DOWN,
        "fall_suspected",
    ),
    Row(
        (SETTLING, GUARDING),
        "not upright for lying_s: the soft collapse",
        lambda f, t: (
            f.session
            and f.exercise.lying_s is not None
            and f.upright_since_alarm
            and f.not_upright_ns is not None
            and f.not_upright_ns >= ns(f.exercise.lying_s)
        ),
        DOWN,
        "fall_suspected",
    ),
    Row(
        (GUARDING,),
        "IMU fault right after an impact: a torn wire is evidence",
        lambda f, t: not f.imu_ok and f.impact_ns <= t.torn_wire,
        DOWN,
        "fall_suspected",
    ),
    # SETTLING
    Row((SETTLING,), "IMU fresh, settled, upright", lambda f, t: f.imu_ok and f.settled and f.upright, GUARDING, "guarding", "guarding"),
    Row(
        (SETTLING,),
        "not guarding for 10 s within a session",
        lambda f, t: f.session and not f.told_not_guarding and f.in_state_ns >= t.not_guarding,
        None,
        "not_guarding",
    ),
    # GUARDING
    Row((GUARDING,), "fall model fires", lambda f, t: f.imu_ok and f.firing, IMMINENT, "imminent_fall"),
    Row((GUARDING,), "IMU fault", lambda f, t: not f.imu_ok, SETTLING, "not_guarding"),
    Row(
        (SETTLING, GUARDING),
        "not worn: no motion above sensor noise, breathing included",
        lambda f, t: f.imu_ok and f.motionless_ns >= t.not_worn,
        OFF,
        "not_worn",
        "session_ended",
    ),
    Row(
        (SETTLING, GUARDING),
        "two short presses and no third: the next exercise",
        lambda f, t: f.press.double and f.posture is not NOT_UPRIGHT,  # who lies may have pressed it in falling
        None,
        "exercise_changed",
    ),
    # IMMINENT
    Row((IMMINENT,), "not upright", lambda f, t: f.posture is NOT_UPRIGHT, DOWN, "fall_suspected"),
    Row((IMMINENT,), "IMU fault", lambda f, t: not f.imu_ok, DOWN, "fall_suspected"),
    Row(
        (IMMINENT,),
        "upright and walking 1 s after the score fell",
        lambda f, t: f.walking_upright_ns > 0 and f.quiet_ns >= t.recovered,
        GUARDING,
        "near_fall",
        "near_fall",
    ),
    Row(
        (IMMINENT,),
        "impact and no walking within 3 s",
        lambda f, t: f.in_state_ns >= t.imminent and f.impact_in_state and f.walking_upright_ns == 0,
        DOWN,
        "fall_suspected",
    ),
    Row(
        (IMMINENT,),
        "3 s over, and not upright in all of them: slumped, or on hands and knees",
        lambda f, t: f.in_state_ns >= t.imminent and f.not_known_upright_ns >= t.imminent,
        DOWN,
        "fall_suspected",
    ),
    Row(
        (IMMINENT,),
        "3 s over, upright, no impact",
        lambda f, t: f.in_state_ns >= t.imminent and f.upright and not f.impact_in_state,
        GUARDING,
        "near_fall",
        "near_fall",
    ),
    # DOWN and FALLEN
    Row(ALARM, "caregiver's clear naming this alarm", lambda f, t: _asked(f, "clear"), SETTLING, "cleared", "cleared"),
    Row(
        ALARM,
        "caregiver's ack naming this alarm",
        lambda f, t: _asked(f, "ack") and not f.acknowledged,
        None,
        "acknowledged",
        "acknowledged",
    ),
    Row((DOWN,), "a short press begun 2 s after DOWN", _press_cancels, GUARDING, "cancelled", "cancelled"),
    Row((DOWN,), "upright and walking 3 s", lambda f, t: f.walking_upright_ns >= t.cancel_walk, GUARDING, "cancelled", "cancelled"),
    Row((DOWN,), "countdown over", lambda f, t: f.in_state_ns >= t.grace, FALLEN, "fall"),
    Row(
        (FALLEN,),
        "released, then held 2 s, not upright or posture unknown",
        lambda f, t: _held(f, t.sos_hold) and f.press.held_ns <= f.in_state_ns and not f.press.upright,
        None,
        "sos",
    ),
    Row((FALLEN,), "released, then held 5 s, upright throughout", _upright_release, SETTLING, "cleared", "cleared"),
    Row(
        (FALLEN,),
        "posture unknown: two separate 5 s holds within 30 s",
        lambda f, t: f.holds >= 2,
        SETTLING,
        "cleared",
        "cleared",
    ),
    Row(
        (FALLEN,),
        "still not upright after long_lie_s, repeated",
        lambda f, t: f.not_known_upright_ns >= t.long_lie and f.since_long_lie_ns >= t.long_lie,
        None,
        "long_lie",
    ),
)


def _asked(f: Facts, cmd: str) -> bool:
    return f.command is not None and f.command.cmd == cmd


class PolicyMemory(Struct):
    """What the policy remembers. Times are this boot's clock, ns; None: not so."""

    state: State = State.SETTLING
    entered_ns: int | None = None
    seq: int = 0
    exercise: str = ""
    alarm: Alarm | None = None
    session: Session | None = None
    steps_base: int | None = 0  # gait's count when the session began; None: to be taken now
    started: bool = False
    not_upright_since: int | None = None
    not_known_upright_since: int | None = None
    walking_upright_since: int | None = None
    last_firing: int = -NEVER
    last_impact: int = -NEVER
    impact_g: float = 0.0
    moved_ns: int | None = None
    off_not_worn: bool = False
    told_not_guarding: bool = False
    upright_since_alarm: bool = True
    used_press_ns: int | None = None  # began_ns of the press that has already called for help
    holds_ns: list[int] = []
    last_long_lie: int = -NEVER
    last_stop_event: int = -NEVER
    was_stop: bool = False
    faults: list[Fault] = []  # told, and not yet told as cleared
    fault_seen_ns: dict[str, int] = {}


class Policy:
    """Reads the tables each tick."""

    def __init__(self, config: Config, resume: Resume) -> None:
        p = config.policy
        self._config = config
        self._id = f"{resume.install}-{resume.boot}"
        self._times = Times(
            imminent=ns(p.imminent_s),
            recovered=ns(p.recovered_s),
            grace=ns(p.grace_s),
            cancel_after=ns(p.cancel_after_s),
            cancel_press=ns(p.cancel_press_s),
            cancel_walk=ns(p.cancel_walk_s),
            sos_hold=ns(p.sos_hold_s),
            clear_hold=ns(p.clear_hold_s),
            stuck=ns(config.health.button_stuck_s),
            long_lie=ns(p.long_lie_s),
            wake_walk=ns(p.wake_walk_s),
            not_guarding=ns(p.not_guarding_s),
            impact_down=ns(config.fall.impact_down_s),
            torn_wire=ns(config.fall.torn_wire_s),
            not_worn=ns(config.gait.not_worn_s),
        )
        self._rows = {state: tuple(row for row in TRANSITIONS if state in row.states) for state in State}
        self._countdown_last_ns = self._times.grace - ns(p.countdown_last_s)
        self._unguarded_ns = ns(p.unguarded_walk_s)
        self._stop_event_ns = ns(config.obstacle.stop_event_s)
        self._fault_clear_ns = ns(p.fault_clear_s)
        self._clear_twice_ns = ns(p.clear_twice_s)
        self._priority = {name: sound.priority for name, sound in config.sounds.items()}
        self.presses = ButtonPresses(config)
        self.sounds = SoundChoice(config)
        self.summary = Summary(config)
        self.coach = Coach(config)
        exercise = resume.exercise if resume.exercise in config.exercises else config.device.exercise
        alarm, session = resume.alarm, resume.session
        self.memory = PolicyMemory(
            state=(resume.state if resume.state in ALARM else FALLEN) if alarm else SETTLING,
            exercise=exercise,
            # opened by another boot's clock
            alarm=replace(alarm, t_ns=0) if alarm else None,
            session=replace(session, t_ns=0) if session else None,
            steps_base=-session.steps if session else 0,
        )

    @property
    def exercise(self) -> Exercise:
        """The row of [exercises] in force."""
        return self._config.exercises[self.memory.exercise]

    def step(
        self,
        frame: Frame,
        condition: Condition,
        pose: Pose | None,
        stride: Stride,
        quality: Quality,
        reps: Reps,
        signs: FallSigns | None,
        behind: Behind,
    ) -> Verdict:
        """One tick. `pose` is None until the first sample; `signs` gathers all of the frame's samples, None without any."""
        m, t_ns = self.memory, frame.t_ns
        events: list[Event] = []
        happened: list[str] = []
        if not m.started:
            m.started, m.entered_ns, m.moved_ns = True, t_ns, t_ns
            m.not_known_upright_since = t_ns
            happened.append("self_test")
            if m.alarm and m.alarm.told:  # a resumed alarm: told again under its own id, in case the outbox lost it
                events.append(m.alarm.told)
        posture = pose.posture if pose and condition.imu_ok else POSTURE_UNKNOWN
        self._look(t_ns, frame, condition, posture, pose, stride, signs)
        motion = self._motion(condition, posture, pose, stride, quality, reps)
        press = self.presses.step(t_ns, frame.button, posture is UPRIGHT)
        if press.began and m.state is not OFF:
            happened.append("press")
        holds = self._holds(t_ns, press, posture)
        powering_off = False
        asked = self._act_on(frame.commands, t_ns, motion, events, happened) if frame.commands else None
        for command in asked or (None,):
            facts = self._facts(t_ns, condition, posture, pose, press, holds, signs, command, motion)
            powering_off = powering_off or (command is not None and command.cmd == "power_off")
            for row in self._rows[m.state]:
                if row.so(facts, self._times):
                    self._take(row, facts, events, happened)
                    press = replace(press, double=False)  # once, however many commands there are
                    break
        self._tell_faults(t_ns, condition.faults, events)
        self._tell_obstacle(t_ns, behind, events)
        self._count_steps(stride)
        self._train(t_ns, motion, events, happened)
        alert = self.sounds.step(t_ns, self._standing(t_ns, behind), happened)
        return Verdict(
            t_ns=t_ns,
            state=m.state,
            obstacle=behind.obstacle,
            alert=alert,
            events=tuple(events),
            motion=motion,
            gap=behind.gap,
            session=m.session,
            alarm=m.alarm,
            exercise=m.exercise,
            faults=self._names(condition.faults),
            charge=condition.charge,
            training=self.coach.memory.training,
            powering_off=powering_off,
        )

    def _motion(self, condition: Condition, posture: Posture, pose: Pose | None, stride: Stride, quality: Quality, reps: Reps) -> Motion:
        ok = condition.imu_ok
        return Motion(  # in the order of its fields: by name each costs as much as making it, here and in Facts
            posture,
            pose.lean_cos if pose and posture is not POSTURE_UNKNOWN else None,
            stride.walking and ok,
            stride.steps,
            stride.cadence if ok else 0.0,
            stride.direction if ok else Direction.UNKNOWN,
            quality.speed_m_s if ok else 0.0,
            quality.distance_m,
            quality.regularity,
            quality.symmetry,
            quality.sway_deg,
            quality.lean_deg,
            reps.stairs,
            reps.lunges_left,
            reps.lunges_right,
            reps.rep,
        )

    # what is so

    def _look(
        self, t_ns: int, frame: Frame, condition: Condition, posture: Posture, pose: Pose | None, stride: Stride, signs: FallSigns | None
    ) -> None:
        """Note since when things are so. UNKNOWN neither begins nor ends not being upright."""
        m = self.memory
        if posture is NOT_UPRIGHT:
            m.not_upright_since = t_ns if m.not_upright_since is None else m.not_upright_since
        elif posture is not POSTURE_UNKNOWN:
            m.not_upright_since = None
        if posture is UPRIGHT:
            m.not_known_upright_since, m.upright_since_alarm = None, True
        elif m.not_known_upright_since is None:
            m.not_known_upright_since = t_ns
        if posture is UPRIGHT and stride.walking:
            m.walking_upright_since = t_ns if m.walking_upright_since is None else m.walking_upright_since
        else:
            m.walking_upright_since = None
        if signs and signs.impact:
            m.last_impact, m.impact_g = t_ns, signs.peak_g
        if signs and signs.firing:
            m.last_firing = t_ns
        if stride.moving or not condition.imu_ok:
            m.moved_ns = t_ns

    def _holds(self, t_ns: int, press: Press, posture: Posture) -> int:
        """Count a hold as long as those that clear, released in this tick with posture unknown; 0 in any other tick."""
        m, times = self.memory, self._times
        long = press.released and times.clear_hold <= press.held_ns < times.stuck
        if not long or posture is not POSTURE_UNKNOWN or t_ns - press.held_ns < (m.entered_ns or 0):
            return 0
        m.holds_ns = [*(held for held in m.holds_ns if t_ns - held <= self._clear_twice_ns), t_ns]
        return len(m.holds_ns)

    def _facts(
        self,
        t_ns: int,
        condition: Condition,
        posture: Posture,
        pose: Pose | None,
        press: Press,
        holds: int,
        signs: FallSigns | None,
        command: Command | None,
        motion: Motion,
    ) -> Facts:
        m = self.memory
        entered_ns = t_ns if m.entered_ns is None else m.entered_ns
        walking_since = m.walking_upright_since
        used = press.began_ns is not None and press.began_ns == m.used_press_ns
        return Facts(
            t_ns,
            t_ns - entered_ns,  # in_state_ns
            m.session is not None,  # session
            self.exercise,
            Press() if used else press,  # press
            condition.imu_ok and pose is not None,  # imu_ok
            pose is not None and pose.settled,
            posture,
            posture is UPRIGHT,  # upright
            0 if walking_since is None else t_ns - max(walking_since, entered_ns),  # walking_upright_ns
            None if m.not_upright_since is None else t_ns - m.not_upright_since,  # not_upright_ns
            0 if m.not_known_upright_since is None else t_ns - m.not_known_upright_since,  # not_known_upright_ns
            m.upright_since_alarm,
            signs is not None and signs.firing,
            t_ns - m.last_firing,  # quiet_ns
            t_ns - m.last_impact,  # impact_ns
            m.last_impact >= entered_ns,  # impact_in_state
            0 if m.moved_ns is None else t_ns - m.moved_ns,  # motionless_ns
            m.off_not_worn,
            m.told_not_guarding,
            t_ns - m.last_long_lie,  # since_long_lie_ns
            holds,
            m.alarm is not None and m.alarm.acknowledged,
            command,
            signs.evidence if signs else {},  # signs
            motion,
        )

    # what is done

    def _take(self, row: Row, facts: Facts, events: list[Event], happened: list[str]) -> None:
        """Follow one row: tell, move, and note what the move means for alarm and session."""
        m, t_ns = self.memory, facts.t_ns
        before = m.state
        if row.event == "sos":
            m.used_press_ns = facts.press.began_ns
        if row.sound:
            happened.append(row.sound)
        event = row.event
        if event == "guarding" and m.session is None:
            event = "session_started"
        if event == "session_ended":
            self._end_session(t_ns, "power_off" if _asked(facts, "power_off") else "three_presses", facts.motion, events)
        elif event == "exercise_changed":
            names = list(self._config.exercises)
            self._change_exercise(names[(names.index(m.exercise) + 1) % len(names)], t_ns, facts.motion, events, happened)
        elif event:
            told = self._event(t_ns, event, self._evidence(row, facts))
            events.append(told)
            self._note(told)
            if event == "not_worn":
                self._end_session(t_ns, "not_worn", facts.motion, events)
        if row.to is not None and row.to is not before:
            self._enter(row.to, before, t_ns)
            m.off_not_worn = event == "not_worn"

    def _evidence(self, row: Row, facts: Facts) -> Evidence:
        evidence: Evidence = {"rule": row.when}
        if row.event == "imminent_fall":
            evidence |= facts.signs
        elif row.event == "fall_suspected":
            if facts.impact_ns <= self._times.impact_down:
                evidence |= {"impact_g": self.memory.impact_g, "impact_age_s": facts.impact_ns / 1e9}
            if facts.not_upright_ns is not None:
                evidence |= {"not_upright_s": facts.not_upright_ns / 1e9}
        elif row.event in ("fall", "sos", "long_lie"):
            evidence |= {"posture": str(facts.posture), "no_body_motion": facts.motionless_ns >= self._times.cancel_after}
        elif row.event == "not_worn":
            evidence |= {"posture": str(facts.posture), "motionless_s": facts.motionless_ns / 1e9}
        elif row.event in ("cleared", "acknowledged") and facts.command:
            evidence |= {"command": facts.command.id}
        return evidence

    def _note(self, told: Event) -> None:
        """What telling an event means for alarm and session."""
        m = self.memory
        if told.event_type == "long_lie":
            m.last_long_lie = told.t_ns
        match told.event_type:
            case "fall_suspected" | "fall" | "sos" | "long_lie":
                if m.alarm is None:
                    m.alarm = Alarm(told.id, told.event_type, told.t_ns, told)
                else:  # asking again is heard again
                    quiet = m.alarm.acknowledged and told.event_type != "sos"
                    m.alarm = Alarm(m.alarm.id, m.alarm.opened_by, m.alarm.t_ns, told, quiet)
            case "acknowledged":
                if m.alarm:
                    m.alarm = replace(m.alarm, acknowledged=True)
            case "near_fall":
                self.summary.nearly_fell()
            case "session_started":
                m.session = Session(told.id, m.exercise, told.t_ns)
                m.steps_base = None
            case "not_guarding":
                m.told_not_guarding = True

    def _enter(self, to: State, before: State, t_ns: int) -> None:
        m = self.memory
        m.state, m.entered_ns, m.holds_ns = to, t_ns, []
        self.presses.forget_shorts()
        if {to, before} != {SETTLING, GUARDING}:  # two presses with the guarding chirp between them are two
            self.presses.forget_double()
        if to not in (SETTLING, GUARDING):
            self.sounds.hush_coach()
        if to in ALARM and before not in ALARM:
            self.summary.alarmed()
        if to in (OFF, GUARDING):
            m.told_not_guarding = False
        if before in ALARM and to not in ALARM:
            m.alarm, m.last_impact, m.last_firing, m.upright_since_alarm = None, -NEVER, -NEVER, False
            m.told_not_guarding = False
        if to is FALLEN:  # whoever was in bed for hours before calling has not lain on the floor for hours
            m.last_long_lie = t_ns
        if to is SETTLING:
            m.moved_ns = t_ns

    def _end_session(self, t_ns: int, reason: str, motion: Motion, events: list[Event]) -> None:
        m = self.memory
        if m.session is None:
            return
        session = self.summary.step(t_ns, motion, m.session, self.coach.progress(m.session), last=True)
        events.append(self._event(t_ns, "session_ended", summary_of(session, reason)))
        m.session = None

    def _change_exercise(self, to: str, t_ns: int, motion: Motion, events: list[Event], happened: list[str]) -> None:
        m = self.memory
        within = m.session is not None
        self._end_session(t_ns, "exercise_changed", motion, events)
        was, lying_s, m.exercise = m.exercise, self.exercise.lying_s, to
        if lying_s is None:  # lay down when that was allowed
            m.upright_since_alarm = False
        happened.append(f"exercise_{to}")
        events.append(self._event(t_ns, "exercise_changed", {"from": was, "to": to}))
        if within:
            told = self._event(t_ns, "session_started", {"rule": "another exercise"})
            events.append(told)
            self._note(told)

    def _event(self, t_ns: int, event_type: str, evidence: Evidence) -> Event:
        m = self.memory
        m.seq += 1
        return Event(f"{self._id}-{m.seq}", m.seq, event_type, t_ns, m.exercise, evidence)

    def _act_on(
        self, commands: tuple[Command, ...], t_ns: int, motion: Motion, events: list[Event], happened: list[str]
    ) -> list[Command | None]:
        """Do what needs no row (locate, test, exercise, dose); return what a row may take: an ack or clear must name the open alarm."""
        m = self.memory
        rest: list[Command | None] = []
        for command in commands:
            match command.cmd:
                case "locate":
                    happened.append("locate")
                case "test":
                    happened.append("test")
                    events.append(self._event(t_ns, "test", {"command": command.id}))
                case "exercise":
                    known = command.value is not None and command.value in self._config.exercises
                    if known and command.value != m.exercise and m.state not in (IMMINENT, *ALARM):
                        self._change_exercise(str(command.value), t_ns, motion, events, happened)
                case "dose":  # the device's own: the contract knows no such command
                    self.coach.plan(command.id, command.value)
                case "ack" | "clear":
                    if m.alarm is not None and command.alarm_id == m.alarm.id:
                        rest.append(command)
                case "power_off":
                    rest.append(command)
        return rest

    def _count_steps(self, stride: Stride) -> None:
        m = self.memory
        if m.session is None:
            return
        if m.steps_base is None:
            m.steps_base = stride.steps
        steps = stride.steps - m.steps_base
        if steps != m.session.steps:
            m.session = replace(m.session, steps=steps)

    def _train(self, t_ns: int, motion: Motion, events: list[Event], happened: list[str]) -> None:
        """The coach's word, and the session's sums."""
        m = self.memory
        said: list[Said] = []
        self.coach.step(t_ns, motion, m.state is GUARDING, m.session, said)
        for one in said:
            happened.append(f"coach_{one.cue}")
            if one.evidence is not None:
                events.append(self._event(t_ns, "coach", one.evidence))
        if m.session is not None:
            m.session = self.summary.step(t_ns, motion, m.session, self.coach.progress(m.session))

    def _names(self, faults: tuple[Fault, ...]) -> tuple[str, ...]:
        if not faults:
            return ()
        return tuple(sorted({fault.name for fault in faults}, key=lambda name: (-self._priority.get(name, 0), name)))

    def _tell_faults(self, t_ns: int, faults: tuple[Fault, ...], events: list[Event]) -> None:
        """An event when a fault begins, and one when it has been gone for fault_clear_s."""
        m = self.memory
        if not faults and not m.faults:
            return
        told = {fault.name for fault in m.faults}
        for fault in faults:
            m.fault_seen_ns[fault.name] = t_ns
            if fault.name not in told:
                told.add(fault.name)
                m.faults.append(fault)
                kind = "battery_low" if fault == Fault("supply_low", "charge") else "fault"
                events.append(self._event(t_ns, kind, {"fault": fault.name, "detail": fault.detail}))
        for fault in tuple(m.faults):
            if t_ns - m.fault_seen_ns[fault.name] >= self._fault_clear_ns:
                m.faults.remove(fault)
                del m.fault_seen_ns[fault.name]
                events.append(self._event(t_ns, "fault_cleared", {"fault": fault.name}))

    def _tell_obstacle(self, t_ns: int, behind: Behind, events: list[Event]) -> None:
        m = self.memory
        heard = behind.sounding and m.state in (SETTLING, GUARDING)
        stop = behind.obstacle is STOP and heard
        self.summary.warned(2 if stop else 1 if behind.obstacle is CAUTION and heard else 0)
        if stop and not m.was_stop and t_ns - m.last_stop_event >= self._stop_event_ns:
            m.last_stop_event = t_ns
            evidence: Evidence = {"closing_m_s": behind.gap.closing_m_s}
            if behind.gap.distance_m is not None:
                evidence["distance_m"] = behind.gap.distance_m
            if behind.gap.ttc_s is not None:
                evidence["ttc_s"] = behind.gap.ttc_s
            if behind.warning:
                evidence["warning"] = behind.warning
            events.append(self._event(t_ns, "obstacle", evidence))
        m.was_stop = stop

    # what is heard

    def _standing(self, t_ns: int, behind: Behind) -> list[str]:
        """The sounds whose reason stands now."""
        m = self.memory
        acknowledged = m.alarm is not None and m.alarm.acknowledged
        if m.state is FALLEN:
            return ["fall_acknowledged" if acknowledged else "fall"]
        if m.state is DOWN:
            late = m.entered_ns is not None and t_ns - m.entered_ns >= self._countdown_last_ns
            return ["fall_acknowledged" if acknowledged else "countdown_last" if late else "countdown"]
        if m.state is OFF:
            since = m.walking_upright_since
            walked_ns = 0 if since is None else t_ns - max(since, m.entered_ns or 0)
            return ["unguarded"] if walked_ns >= self._unguarded_ns and not m.off_not_worn else []
        standing = ["imminent"] if m.state is IMMINENT else []
        if behind.sounding:
            standing += self._obstacle_sound(behind)
        if behind.straighten_up:
            standing.append("straighten_up")
        if behind.blind:
            standing.append(behind.blind)
        if m.state is SETTLING and m.told_not_guarding:
            standing.append("not_guarding")
        standing += [fault.name for fault in m.faults]  # as told: one that flickers is not begun anew each time
        return standing

    def _obstacle_sound(self, behind: Behind) -> list[str]:
        if behind.near:
            return ["near"]
        if behind.warning:
            return [behind.warning]
        if behind.obstacle is STOP:
            return ["stop"]
        if behind.obstacle is CAUTION:
            row, ttc_s = self.exercise, behind.gap.ttc_s
            return ["caution_fast" if ttc_s is not None and ttc_s * 2 < row.caution_ttc_s + row.stop_ttc_s else "caution"]
        return []
