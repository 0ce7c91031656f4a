"""guardian report: one session, or the trend over weeks, as a page, a picture and, if wanted, tables. A worn device goes on undisturbed."""

import re
import sys
import time
from argparse import Namespace
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from guardian import __version__
from guardian.commands.options import config_of, console
from guardian.config import Config, ConfigError
from guardian.report import export, page
from guardian.report.history import History, NotFound, Period, read_period, read_session
from guardian.report.words import Terms
from guardian.sessions import FILE, SessionsError

DEFAULT = "30d"
DAYS = {"d": 1, "w": 7}


def main(args: Namespace) -> int:
    """Read, draw, write; name what was written and what is wrong with the data."""
    config = config_of(args)
    if find_spec("matplotlib") is None:
        print("guardian: the report's plots need matplotlib: pip install 'guardian[report]'", file=sys.stderr)
        return 2
    if args.session is not None and (args.last is not None or args.until is not None):
        raise ConfigError("name a session, or a period with --last and --until, not both")
    path = args.db or Path(config.device.state_dir) / FILE
    try:
        if args.session is not None:
            history = read_session(path, args.session, args.exercise)
        else:
            history = read_period(path, period(args.last or DEFAULT, args.until, time.time()), args.exercise)
    except (SessionsError, NotFound) as error:
        print(f"guardian: {error}", file=sys.stderr)
        return 2
    for file in written(history, terms_of(config), args.out, args.csv):
        console().print(str(file), soft_wrap=True)
    _complain(history)
    return 0


def period(last: str, until: str | None, now_utc: float) -> Period:
    """So many whole days (30d, 10w), the last of which is `until` (None: today). Raises ConfigError."""
    said = re.fullmatch(r"([1-9][0-9]{0,3})([dw])", last)
    if said is None:
        raise ConfigError(f"--last {last}: write it in days or weeks, such as 30d or 10w")
    days = int(said[1]) * DAYS[said[2]]
    try:
        ends = date.fromisoformat(until) if until is not None else datetime.fromtimestamp(now_utc, UTC).astimezone().date()
        begin_utc, end_utc = max(0.0, _midnight(ends - timedelta(days - 1))), _midnight(ends + timedelta(1)) - 1.0
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"--until {until}: write the day as YYYY-MM-DD") from error
    unit = {"d": "day", "w": "week"}[said[2]]
    name = f"the {said[1]} {unit}{'' if said[1] == '1' else 's'} up to {ends}"
    return Period(begin_utc, min(end_utc, now_utc) if until is None else end_utc, name)


def _midnight(day: date) -> float:
    """At the beginning of a day, local time."""
    return datetime.combine(day, datetime.min.time()).astimezone().timestamp()


def terms_of(config: Config) -> Terms:
    """What the configuration says that the report's reader needs."""
    return Terms(
        labels={name: row.label for name, row in config.exercises.items()},
        lean_limit_deg={name: row.coach.lean_deg for name, row in config.exercises.items() if row.coach is not None},
        distance_error=config.report.distance_error,
    )


def written(history: History, terms: Terms, folder: Path, csv: bool) -> list[Path]:
    """Write the page, its picture and, if wanted, the tables into `folder`; their names. Raises OSError."""
    from guardian.report import picture, timeline, trend  # noqa: PLC0415  # matplotlib: half a second, and in an extra of its own

    folder.mkdir(parents=True, exist_ok=True)
    made = page.Made(time.time(), __version__)
    one = history.sessions[0] if history.period is None else None
    pictures = timeline.of_session(one, terms) if one else trend.of_history(history, terms)
    drawn = [page.Drawn(each.says, picture.svg(each, picture.DESK), picture.svg(each, picture.PHONE)) for each in pictures]
    name = folder / _name(history)
    files = {name.with_suffix(".html"): (page.session_page if one else page.trend_page)(history, terms, drawn, made).encode()}
    if pictures:
        files[name.with_suffix(".png")] = picture.png(pictures, page.title(history, terms))
    if csv:
        files[name.with_name(f"{name.name}-sessions.csv")] = export.sessions_csv(history.sessions).encode()
        files[name.with_name(f"{name.name}-timeline.csv")] = export.timeline_csv(history.sessions).encode()
    for file, content in files.items():
        file.write_bytes(content)
    return list(files)


def _name(history: History) -> str:
    """Of the files, without an ending and without a dot: guardian-a1b2c3d4-1-17, guardian-2026-03-04-to-2026-05-12-walk."""
    if history.period is None:
        return "guardian-" + re.sub(r"[^A-Za-z0-9_-]", "_", history.sessions[0].summary.id)
    days = [datetime.fromtimestamp(utc, UTC).astimezone() for utc in (history.period.begin_utc, history.period.end_utc)]
    exercise = f"-{re.sub(r'[^A-Za-z0-9_-]', '_', history.exercise)}" if history.exercise else ""
    return f"guardian-{days[0]:%Y-%m-%d}-to-{days[1]:%Y-%m-%d}{exercise}"


def _complain(history: History) -> None:
    wrong = [found.text for found in history.findings]
    wrong += [f"{told.summary.id}: {found.text}" for told in history.sessions for found in told.findings]
    if wrong:
        print("what to know about these data (it is on the page too):", file=sys.stderr)
        print("\n".join(f"  {text}" for text in wrong), file=sys.stderr)
