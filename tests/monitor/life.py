"""A life told to the policy: what is so, for how long; the tests read what it did."""

from collections.abc import Iterable

from msgspec.structs import replace

from guardian.config import Config
from guardian.frame import Command, Fault, Frame
from guardian.monitor.estimate import Pose
from guardian.monitor.fall import FallSigns
from guardian.monitor.gait import Stride
from guardian.monitor.health import Condition
from guardian.monitor.obstacle import Behind
from guardian.monitor.policy import Policy
from guardian.monitor.quality import Quality
from guardian.monitor.repetitions import Reps
from guardian.verdict import Alarm, Direction, Event, Evidence, Gap, Leg, Obstacle, Posture, Rep, Resume, Session, State, Verdict

TICK_NS = 10_000_000
CLEAR = Behind(obstacle=Obstacle.CLEAR, gap=Gap(), near=False, straighten_up=False, sounding=False)


class Life:
    """Ticks a Policy at 100 Hz with the facts set on it."""

    def __init__(self, config: Config, resume: Resume | None = None) -> None:
        self.policy = Policy(config, resume or Resume("inst", 1))
        self.t_ns = 5_000_000_000
        self.posture, self.settled = Posture.UPRIGHT, True
        self.walking, self.moving, self.steps = False, True, 0
        self.direction, self.cadence = Direction.UNKNOWN, 0.0
        self.quality, self.reps = Quality(), Reps()
        self.lean_cos = 1.0
        self.imu_ok, self.faults = True, ()
        self.charge: float | None = None
        self.evidence: Evidence = {}  # of the fall rule, firing
        self.behind = CLEAR
        self.button = False
        self.verdicts: list[Verdict] = []

    def tick(self, *, impact: bool = False, firing: bool = False, commands: Iterable[Command] = ()) -> Verdict:
        """One tick of what is so now."""
        faults: tuple[Fault, ...] = self.faults if self.imu_ok else (Fault("imu_silent", "test"), *self.faults)
        pose = Pose(
            t_ns=self.t_ns, posture=self.posture, lean_cos=self.lean_cos, up=(0.0, 0.0, 1.0), vertical_m_s2=0.0, accel=(0.0, 0.0, 9.81),
            gyro=(0.0, 0.0, 0.0), norm_g=1.0, settled=self.settled, still=False, trusted=True,
        )  # fmt: skip
        evidence = self.evidence if firing else {}
        signs = FallSigns(firing=firing, score=1.0 if firing else 0.0, impact=impact, peak_g=4.0 if impact else 1.0, evidence=evidence)
        stride = Stride(walking=self.walking, steps=self.steps, cadence=self.cadence, direction=self.direction, moving=self.moving)
        frame = Frame(self.t_ns, button=self.button, commands=tuple(commands))
        condition = Condition(self.imu_ok, True, faults, self.charge)
        verdict = self.policy.step(frame, condition, pose, stride, self.quality, self.reps, signs, self.behind)
        self.verdicts.append(verdict)
        self.t_ns += TICK_NS
        return verdict

    def live(self, seconds: float) -> Verdict:
        """This for so long."""
        for _ in range(round(seconds * 100)):
            verdict = self.tick()
        return verdict

    def walk(self, direction: Direction, seconds: float, speed_m_s: float = 0.5, cadence: float = 100.0) -> Verdict:
        """Walk that way for so long, then stand."""
        self.walking, self.direction, self.cadence = True, direction, cadence
        for tick in range(round(seconds * 100)):
            self.quality = replace(self.quality, speed_m_s=speed_m_s, distance_m=self.quality.distance_m + speed_m_s / 100)
            if tick % 60 == 59:
                self.steps += 1
            self.tick()
        self.walking, self.direction, self.cadence = False, Direction.STILL, 0.0
        self.quality = replace(self.quality, speed_m_s=0.0)
        return self.tick()

    def lunge(self, leg: Leg, down_s: float = 1.0, up_s: float = 1.0, depth_m: float = 0.3) -> Verdict:
        """One lunge, counted when the belt is up again."""
        self.live(down_s + up_s)
        left, right = self.reps.lunges_left + (leg == "left"), self.reps.lunges_right + (leg == "right")
        rep = Rep(left if leg == "left" else right, self.t_ns, leg, depth_m, down_s, up_s)
        self.reps = replace(self.reps, lunges_left=left, lunges_right=right, rep=rep)
        return self.live(0.2)

    def climb(self, stairs: int) -> Verdict:
        """Stairs, one a second."""
        for _ in range(stairs):
            self.live(0.9)
            self.reps = replace(self.reps, stairs=self.reps.stairs + 1)
            self.live(0.1)
        return self.live(0.2)

    def cues(self) -> list[str]:
        """What the coach has told so far."""
        return [str(event.evidence["cue"]) for event in self.events if event.event_type == "coach"]

    def press(self, seconds: float = 0.2, pause: float = 0.2) -> Verdict:
        """Press the button for so long, release it, wait."""
        self.button = True
        self.live(seconds)
        self.button = False
        return self.live(pause)

    def fall(self) -> Verdict:
        """Impact, then on the floor until the guard has noticed."""
        self.tick(impact=True)
        self.posture, self.walking = Posture.DOWN, False
        return self.live(0.1)

    def lie_until_fallen(self) -> Verdict:
        """A fall and the whole countdown."""
        self.fall()
        return self.live(20.2)

    @property
    def state(self) -> State:
        """Now."""
        return self.verdicts[-1].state

    @property
    def events(self) -> list[Event]:
        """All told so far."""
        return [event for verdict in self.verdicts for event in verdict.events]

    @property
    def told(self) -> list[str]:
        """Their types."""
        return [event.event_type for event in self.events]

    def heard(self, since: int = 0) -> list[str]:
        """The sounds, in order, each once while it goes on."""
        names: list[str] = []
        last = None
        for verdict in self.verdicts[since:]:
            if verdict.alert is not None and verdict.alert != last:
                names.append(verdict.alert.sound)
            last = verdict.alert
        return names


def guarded(config: Config) -> Life:
    """A life in GUARDING."""
    life = Life(config)
    life.live(2)
    assert life.state is State.GUARDING
    return life


def resumed(config: Config, state: State, told: Event | None = None, acknowledged: bool = False) -> Life:
    """A life after a restart with an alarm open."""
    alarm = Alarm("inst-1-7", "fall_suspected", 123, told, acknowledged)
    return Life(config, Resume("inst", 2, state, alarm, Session("inst-1-1", "walk", 99, 40)))
