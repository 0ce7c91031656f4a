"""guardian sounds: plays a sound through the buzzer where there is one, draws and explains it, and prints the card."""

import sys
from argparse import Namespace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from guardian import hardware
from guardian.commands.card import BEGIN, END, card, how_often, rhythm
from guardian.commands.options import config_of, console, is_refusal
from guardian.config import Config, Sound, ns
from guardian.frame import Frame
from guardian.hardware import Clock, Hardware
from guardian.outputs.buzzer import Buzzer
from guardian.verdict import Alert, Gap, Motion, Obstacle, State, Verdict

LISTEN_S = 4.0  # a sound that goes on until its reason ends is played this long


def main(args: Namespace) -> int:
    """Draw and explain one sound or all; play it where pins exist."""
    config = config_of(args)
    if args.card:
        return _card(config, args.into)
    if args.name is not None and args.name not in config.sounds:
        print(f"guardian: no sound is named {args.name!r}; there are: {', '.join(config.sounds)}", file=sys.stderr)
        return 2
    out = console()
    names = [args.name] if args.name else sorted(config.sounds, key=lambda name: -config.sounds[name].priority)
    _explain(out, config, names)
    try:
        real = hardware.real(config)
    except Exception as error:
        if not is_refusal(error):
            raise
        out.print(f"[dim]not played: this machine has no buzzer pin ({error})[/]")
        return 0
    try:
        for name in names:
            play(real, config, name)
    finally:
        real.close()
    return 0


def play(device: Hardware, config: Config, name: str) -> None:
    """Play one sound through the buzzer, by the same output and table as while worn; leaves it silent."""
    buzzer = Buzzer(device.pins, config)
    clock: Clock = device.clock
    sound = config.sounds[name]
    begun_ns = now_ns = clock.now_ns()
    length_ns = ns(LISTEN_S) if sound.repeat_s == 0 else sound.length_ns
    while now_ns < begun_ns + length_ns:
        buzzer.apply(Frame(t_ns=now_ns), _sounding(now_ns, Alert(name, begun_ns), config))
        clock.wait_until(now_ns + config.loop.tick_ms * 1_000_000)
        now_ns = clock.now_ns()
    buzzer.close()


def _sounding(t_ns: int, alert: Alert, config: Config) -> Verdict:
    return Verdict(t_ns, State.OFF, Obstacle.UNKNOWN, alert, (), Motion(), Gap(), None, None, config.device.exercise)


def _explain(out: Console, config: Config, names: list[str]) -> None:
    table = Table(title="the sounds, most urgent first" if len(names) > 1 else None, title_justify="left", box=None, pad_edge=False)
    table.add_column("sound", style="bold", no_wrap=True)
    table.add_column("rhythm", style="cyan")
    table.add_column("meaning", ratio=1)
    for name in names:
        sound: Sound = config.sounds[name]
        table.add_row(name, rhythm(sound), f"{sound.meaning} [dim]({how_often(sound)})[/]")
    out.print(table)
    if len(names) == 1:
        sound = config.sounds[names[0]]
        out.print(f"priority {sound.priority} of 100; on, off, on ... in ms: {', '.join(str(ms) for ms in sound.on_off_ms)}")


def _card(config: Config, into: Path | None) -> int:
    text = card(config)
    if into is None:
        sys.stdout.write(text)
        return 0
    page = into.read_text(encoding="utf-8", errors="surrogateescape")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"guardian: {into} has no lines {BEGIN} and {END} to write the card between", file=sys.stderr)
        return 2
    into.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8", errors="surrogateescape")
    return 0
