"""The device as it looks from outside: a live view in a terminal, or lines in a log. Both are outputs like any other."""

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic

from msgspec import Struct
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from guardian.commands.card import rhythm
from guardian.commands.words import line_of, style_of
from guardian.config import Config
from guardian.frame import Fault, Frame
from guardian.verdict import Alarm, Direction, Obstacle, Phase, State, Verdict

REFRESH_S = 0.1
WIDTH = 78
STORY_ROWS = 5
CAREGIVER_ROWS = 5
TRAINING_BAR = 16
PHASES: dict[Phase, str] = {Phase.WARM_UP: "yellow", Phase.WORK: "bold green", Phase.REST: "cyan", Phase.DONE: "bold cyan"}
STATES: dict[State, str] = {
    State.OFF: "dim",
    State.SETTLING: "yellow",
    State.GUARDING: "bold green",
    State.IMMINENT: "bold white on red",
    State.DOWN: "bold white on red",
    State.FALLEN: "bold white on red",
}
OBSTACLES: dict[Obstacle, str] = {
    Obstacle.CLEAR: "green",
    Obstacle.CAUTION: "bold yellow",
    Obstacle.STOP: "bold white on red",
    Obstacle.UNKNOWN: "dim",
}


class Line(Struct, frozen=True):
    """One line of what happened: who says it, and how."""

    t_s: float
    who: str
    text: str
    style: str


class Story:
    """What has happened so far, in lines; who wants to hear of each new one says so."""

    def __init__(self, told: Callable[[Line], None] | None = None, keep: int = 200) -> None:
        self.lines: deque[Line] = deque(maxlen=keep)
        self._told = told

    def so_far(self) -> list[Line]:
        """The lines kept, oldest first; a copy, since another thread may be adding one."""
        return list(self.lines)

    def add(self, line: Line) -> None:
        """One more."""
        self.lines.append(line)
        if self._told is not None:
            self._told(line)


class Lines:
    """An output that tells, as the story goes on, each event, and each change of state, obstacle and sound."""

    name = "lines"

    def __init__(self, config: Config, story: Story) -> None:
        self._config = config
        self._story = story
        self._said: tuple[State, Obstacle, str | None] | None = None

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """One tick."""
        t_s = verdict.t_ns / 1e9
        sound = verdict.alert.sound if verdict.alert else None
        now = (verdict.state, verdict.obstacle, sound)
        if now != self._said:
            before = self._said or (None, None, None)
            self._said = now
            if verdict.state != before[0]:
                self._story.add(Line(t_s, "state", verdict.state.value, STATES[verdict.state]))
            if verdict.obstacle != before[1]:
                self._story.add(Line(t_s, "behind", f"{verdict.obstacle.value}{_gap(verdict)}", OBSTACLES[verdict.obstacle]))
            if sound is not None and sound != before[2]:
                row = self._config.sounds[sound]
                self._story.add(Line(t_s, "sound", f"{rhythm(row)}  {row.meaning}", "cyan"))
        for event in verdict.events:
            self._story.add(Line(t_s, "event", line_of(event), style_of(event.event_type)))

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Nothing to do."""


def printed(console: Console) -> Callable[[Line], None]:
    """Prints each line of a story as it comes."""

    def tell(line: Line) -> None:
        console.print(as_text(line), soft_wrap=True)

    return tell


def as_text(line: Line, who: bool = True) -> Text:
    """One line: time, who, what."""
    return Text.assemble((f"{line.t_s:7.2f} s  ", "dim"), (f"{line.who:9s} " if who else "", "bold"), (line.text, line.style))


class LiveView:
    """An output that shows the device in place, ten times a second, with the last lines of its story; 80 x 24 is enough."""

    name = "view"

    def __init__(self, config: Config, story: Story, title: str, console: Console) -> None:
        self._config = config
        self._story = story
        self._title = title
        logging.getLogger().setLevel(logging.ERROR)  # what a part complains of is in the picture; lines between would tear it
        self._live = Live(console=console, auto_refresh=False, transient=False, vertical_overflow="crop")
        self._next_s = 0.0
        self._last: tuple[Frame, Verdict] | None = None
        self._live.start()

    def apply(self, frame: Frame, verdict: Verdict) -> None:
        """Show this tick, if it is time for a new picture."""
        self._last = (frame, verdict)
        now_s = monotonic()
        if now_s >= self._next_s or verdict.events:
            self._next_s = now_s + REFRESH_S
            self._draw()

    def faults(self) -> tuple[Fault, ...]:
        """Never any."""
        return ()

    def close(self) -> None:
        """Leave the last picture on the screen."""
        self._draw()
        self._live.stop()

    def _draw(self) -> None:
        if self._last is not None:
            self._live.update(picture(self._config, self._title, *self._last, self._story), refresh=True)


def picture(config: Config, title: str, frame: Frame, verdict: Verdict, story: Story) -> RenderableType:
    """The device in one tick, what happened last, and what the caregiver has been told: 21 lines."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", min_width=8, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=WIDTH - 14, ratio=1)
    grid.add_row("state", Text.assemble((f" {verdict.state.value} ", STATES[verdict.state]), _alarm(verdict.alarm)))
    grid.add_row("behind", Text.assemble((f" {verdict.obstacle.value} ", OBSTACLES[verdict.obstacle]), _gap(verdict)))
    grid.add_row("", _bar(config, verdict))
    grid.add_row("sound", _sound(config, verdict))
    grid.add_row("motion", _motion(verdict))
    grid.add_row("training", _training(config, verdict))
    grid.add_row("faults", Text(", ".join(verdict.faults) or "none", style="yellow" if verdict.faults else "dim"))
    device = Panel(
        grid,
        title=f"[bold]{title}[/]",
        subtitle=f"{config.exercises[verdict.exercise].label}, {verdict.t_ns / 1e9:.1f} s",
        title_align="left",
        subtitle_align="right",
        width=WIDTH,
    )
    told = [line for line in story.so_far() if line.who == "caregiver"]
    happened = [line for line in story.so_far() if line.who in ("state", "event", "sound")]
    seen = _last(told, CAREGIVER_ROWS, WIDTH - 4, who=False)
    caregiver = Panel(seen, title="[bold]the caregiver sees[/]", title_align="left", width=WIDTH)
    return Group(device, _last(happened, STORY_ROWS, WIDTH), caregiver)


def _last(lines: list[Line], rows: int, width: int, who: bool = True) -> Group:
    """The last lines, exactly `rows` of them, none wider than `width`."""
    texts = [as_text(line, who) for line in lines[-rows:]]
    for text in texts:
        text.truncate(width, overflow="ellipsis")
        text.no_wrap, text.overflow = True, "ellipsis"  # on a terminal narrower than this
    return Group(*texts, *[Text()] * (rows - len(texts)))


def _alarm(alarm: Alarm | None) -> str:
    if alarm is None:
        return ""
    return f"  alarm {alarm.id}{', acknowledged' if alarm.acknowledged else ''}"


def _gap(verdict: Verdict) -> str:
    gap = verdict.gap
    if gap.distance_m is None:
        return ""
    closing = f", closing {gap.closing_m_s:.2f} m/s" if gap.closing_m_s > 0.05 else ""
    ttc = f", {gap.ttc_s:.1f} s to it" if gap.ttc_s is not None else ""
    return f"  {gap.distance_m:.2f} m{closing}{ttc}"


def _bar(config: Config, verdict: Verdict) -> Text:
    """The space behind, the wearer at its left end."""
    width = WIDTH - 24
    if verdict.gap.distance_m is None:
        return Text("· " * (width // 2) + " ?" if verdict.obstacle is Obstacle.UNKNOWN else "─" * width + "▷", style="dim")
    filled = max(0, min(width, round(width * verdict.gap.distance_m / config.ranger.range_m)))
    return Text.assemble(
        ("─" * filled, "green"), ("█", OBSTACLES[verdict.obstacle]), (" " * (width - filled), ""), (f" {config.ranger.range_m:g} m", "dim")
    )


def _sound(config: Config, verdict: Verdict) -> Text:
    if verdict.alert is None:
        return Text("silent", style="dim")
    row = config.sounds[verdict.alert.sound]
    on = _on(row.on_off_ms, (verdict.t_ns - verdict.alert.since_ns) // 1_000_000, row.repeat_s == 0)
    return Text.assemble(
        ("♪ " if on else "  ", "bold cyan"), (verdict.alert.sound, "bold cyan"), (f"  {rhythm(row)}  ", "cyan"), row.meaning
    )


def _on(on_off_ms: tuple[int, ...], age_ms: int, loops: bool) -> bool:
    """Is the buzzer on, this long after the sound began?"""
    if loops:
        age_ms %= sum(on_off_ms)
    for index, ms in enumerate(on_off_ms):
        if age_ms < ms:
            return index % 2 == 0
        age_ms -= ms
    return False


def _training(config: Config, verdict: Verdict) -> Text:
    """Phase and progress: `work  ████░░░░  120 of 300 s`, with the set where there are several."""
    training, coach = verdict.training, config.exercises[verdict.exercise].coach
    if training is None or coach is None:
        return Text("no session" if verdict.session is None else "no coach in this exercise", style="dim")
    lasts_s = {Phase.WARM_UP: coach.warm_up_s, Phase.REST: coach.rest_s}.get(training.phase)
    done, whole, unit = (training.done, training.dose, training.unit) if lasts_s is None else (training.spent_s, lasts_s, "s")
    filled = max(0, min(TRAINING_BAR, int(TRAINING_BAR * done / whole))) if whole else TRAINING_BAR
    legs = " a leg" if unit == "reps" else ""
    sets = f", set {training.set_number} of {training.sets}" if training.sets > 1 else ""
    return Text.assemble(
        (f"{training.phase.value.replace('_', '-'):8s}", PHASES[training.phase]),
        ("█" * filled + "░" * (TRAINING_BAR - filled), PHASES[training.phase]),
        f"  {done:.0f} of {whole:.0f} {unit}{legs}{sets}",
    )


def _motion(verdict: Verdict) -> str:
    motion = verdict.motion
    steps = f", {motion.steps} steps" if motion.steps else ""
    way = "turning" if motion.direction is Direction.TURNING else f"walking {motion.direction.value}"
    gait = f"{way}, {motion.cadence:.0f} steps/min" if motion.walking else "standing" if motion.posture == "upright" else ""
    return ", ".join(part for part in (motion.posture.value, gait) if part) + steps
