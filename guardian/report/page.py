"""The report as one HTML page that needs nothing else: no script, no address to fetch. For eyes, phones, paper and screen readers.

Every value of the database that the page shows stands in an element with `data-field` and `data-value` (the database's own number, exactly)
inside one with `data-session`; what is wrong has `data-finding`. So a test, or a spreadsheet, can read the page back.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from guardian.report import columns, words
from guardian.report.columns import BY_FIELD, COLUMNS, HEADS, LIST, Column, Group
from guardian.report.findings import Finding
from guardian.report.history import History, Told
from guardian.report.markup import Markup, tag, text
from guardian.report.words import Terms
from guardian.sessions import Planned, Summary

LOOK = Path(__file__).with_name("look.css")


class Drawn(Struct, frozen=True):
    """A picture as SVG, once for a desk and paper and once for a phone."""

    says: str
    desk: Markup
    phone: Markup


class Made(Struct, frozen=True):
    """By what and when a page was made."""

    utc: float
    sw: str


def session_page(history: History, terms: Terms, drawn: Sequence[Drawn], made: Made) -> str:
    """One session: in words, as a picture, what happened in it, all of its figures."""
    told = history.sessions[0]
    one = told.summary
    return _page(
        title(history, terms),
        tag(
            "header", tag("p", "Session", class_="kicker"), tag("h1", title(history, terms)), tag("p", in_words(one, terms), class_="lead")
        ),
        _findings("What to know about these data", [*history.findings, *told.findings]),
        tag("section", *(_tile(one, field, terms) for field in _tiles(one)), class_="tiles", data_session=one.id),
        _section("Course of the session", *map(_figure, drawn), *([] if drawn else [tag("p", "There is no timeline to draw.")])),
        _marks(told),
        _figures(one, terms),
        *_plans([plan for plan in history.plans if plan.exercise == one.exercise], terms),
        _foot(history, terms, made),
    )


def trend_page(history: History, terms: Terms, drawn: Sequence[Drawn], made: Made) -> str:
    """A period: what was trained week by week, how each exercise went, the plan, every session."""
    assert history.period is not None
    some = [told.summary for told in history.sessions]
    undated = len([one for one in some if one.started_utc is None])
    note = f"{words.times(undated, 'session')} without a date {'is' if undated == 1 else 'are'} in the list below, and in no picture."
    labels = list(dict.fromkeys(one.exercise for one in some if one.started_utc is not None))
    sections = [_section("Week by week", _figure(drawn[0]), *([tag("p", note, class_="note")] if undated else []))] if drawn else []
    for exercise, picture in zip(labels, drawn[1:], strict=False):
        mine = [one for one in some if one.exercise == exercise]
        sections.append(_section(words.capital(terms.label(exercise)), tag("p", course(mine, terms)), _figure(picture)))
    if not drawn:
        sections = [_section("Week by week", tag("p", "No session has a date, so there is no trend to draw."))]
    return _page(
        title(history, terms),
        tag(
            "header",
            tag("p", "Progress report", class_="kicker"),
            tag("h1", title(history, terms)),
            tag("p", sum_in_words(some), class_="lead"),
        ),
        _findings("What to know about these data", history.findings, history.sessions),
        *sections,
        *_plans(history.plans, terms),
        _list(history.sessions, terms),
        _foot(history, terms, made),
    )


# --- in words


def title(history: History, terms: Terms) -> str:
    """What it is about, and of when."""
    if history.period is None:
        one = history.sessions[0].summary
        return f"{words.capital(terms.label(one.exercise))}, {words.moment(one.started_utc)}"
    what = words.capital(terms.label(history.exercise)) if history.exercise else "Training"
    return f"{what}, {words.day(history.period.begin_utc)} to {words.day(history.period.end_utc)}"


def in_words(one: Summary, terms: Terms) -> str:
    """The session in a few sentences."""
    said = [
        f"{words.capital(terms.label(one.exercise))} for {words.duration(one.duration_s)}"
        if one.duration_s is not None
        else "Of unknown length"
    ]
    if one.distance_m and one.steps:
        said[0] += f", about {columns.distance(one, terms)} in {words.number(one.steps)} steps"
    elif one.steps:
        said[0] += f", {words.number(one.steps)} steps"
    if one.cadence and one.speed_m_s:
        said.append(f"On average {words.number(one.cadence)} steps a minute at {words.number(one.speed_m_s, 2)} m/s")
    if one.stairs:
        said.append(words.capital(words.times(one.stairs, "stair")))
    if one.lunges_left or one.lunges_right:
        depth = f", {words.number(one.lunge_depth_m, 2)} m deep on average" if one.lunge_depth_m is not None else ""
        said.append(f"Lunges: {one.lunges_left} with the left leg, {one.lunges_right} with the right{depth}")
    if one.lean_deg is not None:
        limit = terms.lean_limit_deg.get(one.exercise)
        against = f" (limit {words.number(limit)}°)" if limit is not None else ""
        way = "forward" if one.lean_deg >= 0 else "backward"
        said.append(f"The trunk leaned {words.number(abs(one.lean_deg))}° {way} on average{against}")
    if one.dose is not None and one.done is not None:
        sets = f", {words.times(one.sets_done, 'whole set')}" if one.sets is not None and one.sets > 1 else ""
        said.append(f"{words.amount(one.done, one.unit)} done of the {words.dose(one)} asked for: {words.share(one)}{sets}")
    warned = words.listed([words.times(one.cautions, "caution"), words.times(one.stops, "stop")])
    said.append(f"Obstacles behind: {warned}; {words.listed([words.times(one.near_falls, 'near-fall'), words.times(one.falls, 'fall')])}")
    said.append(f"Ended: {words.reason(one.reason)}")
    return ". ".join(said) + "."


def sum_in_words(some: Sequence[Summary]) -> str:
    """All sessions of a period in one line."""
    trained_s = 60 * round(sum(one.duration_s or 0.0 for one in some) / 60)
    unknown = len([one for one in some if one.duration_s is None])
    without = f" ({words.times(unknown, 'session')} of unknown length not counted)" if unknown else ""
    parts = [words.times(sum(one.near_falls for one in some), "near-fall"), words.times(sum(one.falls for one in some), "fall")]
    return f"{words.capital(words.times(len(some), 'session'))}, {words.duration(trained_s)} of training{without}; {words.listed(parts)}."


def course(mine: Sequence[Summary], terms: Terms) -> str:
    """How an exercise went from its first to its last session that has the figure: said plainly, nothing tested."""
    said = [f"{words.capital(words.times(len(mine), 'session'))}"]
    dosed = [one for one in mine if one.done is not None and one.unit == mine[-1].unit]
    if len(dosed) > 1:
        first, last = dosed[0], dosed[-1]
        said.append(
            f"dose done from {words.amount(first.done, first.unit)} in the first to {words.amount(last.done, last.unit)} in the last"
        )
    for field, name, digits, unit in (
        ("cadence", "cadence", 0, " a minute"),
        ("regularity", "regularity", 2, ""),
        ("lean_deg", "lean", 0, "°"),
    ):
        known = [value for value in (getattr(one, field) for one in mine) if value is not None]
        if len(known) > 1 and any(known):
            said.append(f"{name} {words.number(known[0], digits)} → {words.number(known[-1], digits)}{unit}")
    near, falls = sum(one.near_falls for one in mine), sum(one.falls for one in mine)
    said.append(words.listed([words.times(near, "near-fall"), words.times(falls, "fall")]))
    return "; ".join(said) + "."


# --- pieces


def _page(heading: str, *inside: Markup) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
        tag("title", heading),
        tag("style", Markup(LOOK.read_text(encoding="utf-8"))),
    )
    return text(Markup("<!doctype html>\n"), tag("html", head, tag("body", tag("main", *inside)), lang="en"), "\n")


def _section(heading: str, *inside: Markup, class_: str | None = None) -> Markup:
    return tag("section", tag("h2", heading), *inside, class_=class_)


def _figure(drawn: Drawn) -> Markup:
    """One of the two is shown. The picture's letters are for eyes; the label says what it is, the tables below say the rest."""
    desk = tag("div", drawn.desk, class_="desk", role="img", aria_label=drawn.says)
    phone = tag("div", drawn.phone, class_="phone", role="img", aria_label=drawn.says)
    return tag("figure", desk, phone)


def _findings(heading: str, whole: Sequence[Finding], sessions: Sequence[Told] = ()) -> Markup:
    """What is bad or missing, near the top; nothing where there is nothing."""
    items = [tag("li", one.text, data_finding=one.kind) for one in whole]
    for told in sessions:
        one = told.summary
        who = f"{words.moment(one.started_utc)}, {one.exercise}, {one.id}"
        items += [
            tag("li", tag("a", who, href=f"#{_anchor(one.id)}"), f": {found.text}", data_finding=found.kind, data_session=one.id)
            for found in told.findings
        ]
    if not items:
        return tag("p", "All that was asked for could be read; nothing is missing.", class_="note", data_finding="none")
    return _section(heading, tag("ul", *items), class_="findings")


def _tiles(one: Summary) -> list[str]:
    """What counts in this session, by what there is."""
    fields = ["duration_s"]
    fields += ["done"] if one.done is not None else []
    fields += ["distance_m"] if one.distance_m else []
    fields += ["stairs"] if one.stairs else []
    fields += ["lunges_left", "lunges_right"] if one.lunges_left or one.lunges_right else []
    fields += ["cadence"] if one.cadence else []
    fields += ["regularity"] if one.regularity is not None else []
    fields += ["lean_deg"] if one.lean_deg is not None else []
    return [*fields, "stops", "near_falls", *(["falls"] if one.falls else [])]


def _tile(one: Summary, field: str, terms: Terms) -> Markup:
    column = BY_FIELD[field]
    small = f"of {words.dose(one)}" if field == "done" and one.dose is not None else ""
    alarm = field in ("near_falls", "falls") and bool(getattr(one, field))
    return tag(
        "div",
        tag("span", column.label, class_="name"),
        tag("span", column.write(one, terms), class_="value", data_field=field, data_value=columns.raw(one, field)),
        tag("span", small, class_="small"),
        class_="tile alarm" if alarm else "tile",
    )


def _marks(told: Told) -> Markup:
    if not told.marks:
        return _section("What happened", tag("p", "Nothing was marked."))
    rows = [
        tag(
            "tr",
            tag("td", words.clock(mark.t_s), class_="number", data_mark="t_s", data_value=repr(mark.t_s)),
            tag("td", words.event(mark.event_type), data_mark="event_type", data_value=mark.event_type),
            tag("td", mark.detail, data_mark="detail"),
            class_="alarm" if mark.event_type in ("near_fall", "fall", "sos", "imminent_fall", "fall_suspected", "long_lie") else None,
        )
        for mark in told.marks
    ]
    head = tag("thead", tag("tr", tag("th", "Time", scope="col"), tag("th", "What", scope="col"), tag("th", "Detail", scope="col")))
    return _section("What happened", tag("table", head, tag("tbody", *rows), class_="marks"))


def _figures(one: Summary, terms: Terms) -> Markup:
    rows = [_figure_row(one, column, terms) for column in COLUMNS]
    return _section("All figures", tag("table", tag("tbody", *rows, data_session=one.id), class_="figures"))


def _figure_row(one: Summary, column: Column, terms: Terms) -> Markup:
    name = tag("th", column.label, *([tag("span", column.hint, class_="hint")] if column.hint else []), scope="row")
    return tag("tr", name, tag("td", column.write(one, terms), data_field=column.field, data_value=columns.raw(one, column.field)))


def _list(told: Sequence[Told], terms: Terms) -> Markup:
    """All sessions; a row becomes a card on a phone, where its labels come from data-label."""
    head = tag("thead", tag("tr", *(tag("th", group.label, scope="col") for group in LIST)))
    rows = [row for one in told for row in _list_rows(one, terms)]
    note = tag("p", "One session in detail: guardian report SESSION, with the id that stands under its date.", class_="note")
    return _section("Sessions", note, tag("table", head, tag("tbody", *rows), class_="list"), class_="wide")


def _list_rows(told: Told, terms: Terms) -> list[Markup]:
    """A session's row, and one below where something is wrong with it."""
    one = told.summary
    cells = [_list_cell(one, group, place < HEADS, terms) for place, group in enumerate(LIST)]
    rows = [tag("tr", *cells, id=_anchor(one.id), data_session=one.id)]
    remarks = [found.text for found in told.findings]
    if remarks:
        rows.append(tag("tr", tag("td", *(tag("span", remark) for remark in remarks), colspan=len(LIST)), class_="remarks"))
    return rows


def _list_cell(one: Summary, group: Group, head: bool, terms: Terms) -> Markup:
    values = [getattr(one, field) for field in group.fields]
    empty = all(value in (None, 0, 0.0) for value in values)
    alarm = group.fields[0] in ("near_falls", "falls") and not empty
    inside: list[str] = []
    for field in group.fields:
        inside += [group.between] if inside else []
        column = BY_FIELD[field]
        inside.append(tag("span", (column.brief or column.write)(one, terms), data_field=field, data_value=columns.raw(one, field)))
    if group.fields == ("started_utc",):
        inside.append(tag("span", one.id, class_="hint"))
    classes = " ".join(name for name, wears in (("empty", empty), ("alarm", alarm), ("head", head)) if wears)
    return tag("td", *inside, class_=classes or None, data_label=group.label)


def _plans(plans: Sequence[Planned], terms: Terms) -> list[Markup]:
    if not plans:
        return []
    rows = [
        tag(
            "tr",
            tag("th", words.capital(terms.label(plan.exercise)), scope="row"),
            tag("td", words.amount(plan.dose, plan.unit), data_plan="dose", data_value=repr(plan.dose), data_label="Dose of a set"),
            tag("td", words.day(plan.changed_utc), data_plan="changed_utc", data_label="Since"),
            tag("td", plan.why or words.DASH, data_plan="why", data_label="Why"),
            data_exercise=plan.exercise,
        )
        for plan in plans
    ]
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in ("Exercise", "Dose of a set now", "Since", "Why"))))
    return [_section("The plan", tag("table", head, tag("tbody", *rows), class_="plan"))]


def _foot(history: History, terms: Terms, made: Made) -> Markup:
    known = [name for name in dict.fromkeys(told.summary.exercise for told in history.sessions) if name in terms.distance_error]
    errors = words.listed([f"{words.number(100 * terms.distance_error[name])}{words.GLUE}% for {terms.label(name)}" for name in known])
    within = f"nine of ten are within the ± given ({errors}; simulated people), for other exercises the error" if errors else "their error"
    return tag(
        "footer",
        tag(
            "p",
            "Measured by one motion sensor and one ultrasonic ranger on a belt. Distance and speed are estimated from the waist's motion: "
            f"{within} is not known. {words.DASH} means not known, never zero.",
        ),
        tag(
            "p",
            f"Made {words.moment(made.utc)} by guardian {made.sw} from {history.path}. Times are local ({words.zone(made.utc)}). "
            "Not a medical device: for orientation, beside what you see yourself.",
        ),
    )


def _anchor(name: str) -> str:
    return "session-" + "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)
