"""Everyone whom this person may see, the most urgent first: open alarms as cards, the others as a list that stays short and fast."""

from collections.abc import Callable

from guardian.station.live import LOOK, Picture
from guardian.station.pages.alarm import AlarmCards, wants_card
from guardian.station.pages.marks import Note, notes_of, status_of, tone_of
from guardian.station.pages.tags import Tag, button, choice, link, search
from guardian.station.pages.viewer import Viewer

SHOWN = 60  # people in the list at first; more on request: a page of hundreds is slow on a phone, and the urgent are above
FEW = 8  # people who need no search field

FILTERS: dict[str, Callable[[Picture], bool]] = {
    "all": lambda one: True,
    "attention": lambda one: one.urgency <= LOOK,
    "session": lambda one: bool(one.in_session),
    "out": lambda one: one.contact != "live",
}


class Overview:
    """The page /."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._text, self._filter, self._most = "", "all", SHOWN
        self._rows: dict[str, Row] = {}
        say = viewer.say
        with Tag("div", "summary"):
            self._headline = Tag("h1", aria_live="polite")
            self._counts = Tag("p", "counts")
        self._alarms = AlarmCards(viewer)
        with Tag("div", "find") as self._find:
            search(say("find.search"), self._typed)
            choice(say("find.filter"), {name: say(f"find.{name}") for name in FILTERS}, "all", self._chosen)
        self._none = Tag("p", "card soft")
        self._list = Tag("ul", "people", aria_label=say("find.people"))
        with Tag("div", "more-people") as self._rest:
            self._more = button("", "button", self._show_more)
        self.refresh()

    def refresh(self) -> None:
        """Show what is so now."""
        pictures = self._viewer.pictures()
        self._headline.say(headline(self._viewer, pictures))
        self._count(pictures)
        self._alarms.update(pictures)
        self._find.show(len(pictures) > FEW)
        others = [one for one in pictures if not wants_card(one)]
        found = [one for one in others if self._matches(one)]
        self._update(found[: self._most])
        left = len(found) - self._most
        self._rest.show(left > 0)
        if left > 0:
            self._more.default_slot.children[0].say(self._viewer.say("find.more", count=min(left, SHOWN)))  # type: ignore[attr-defined]
        self._none.show(not found and (not pictures or bool(others)))
        self._none.say(self._viewer.say("find.none" if pictures else "summary.nobody_how"))

    def _matches(self, picture: Picture) -> bool:
        words = (picture.name, picture.device)
        return FILTERS[self._filter](picture) and any(self._text in word.casefold() for word in words)

    def _update(self, pictures: list[Picture]) -> None:
        place = {one.device: index for index, one in enumerate(pictures)}
        for device in [one for one in self._rows if one not in place]:
            self._rows.pop(device).remove()
        for picture in pictures:
            if picture.device in self._rows:
                self._rows[picture.device].update(picture)
            else:
                with self._list:
                    self._rows[picture.device] = Row(self._viewer, picture)
        children = self._list.default_slot.children
        ordered = sorted(children, key=lambda item: place[item.props["data-device"]])
        if ordered != children:
            self._list.default_slot.children = ordered
            self._list.update()

    def _count(self, pictures: list[Picture]) -> None:
        say = self._viewer.say
        walking = sum(one.status == "walking" for one in pictures)
        guarded = sum(one.status in ("walking", "guarding") for one in pictures)
        out = sum(one.contact != "live" for one in pictures)
        parts = [say("summary.person") if len(pictures) == 1 else say("summary.people", count=len(pictures))]
        parts += [
            say(f"summary.{name}", count=count) for name, count in (("guarded", guarded), ("walking", walking), ("out", out)) if count
        ]
        self._counts.say(" · ".join(parts) if pictures else "")

    def _typed(self, text: str) -> None:
        self._text, self._most = text.strip().casefold(), SHOWN
        self.refresh()

    def _chosen(self, name: str) -> None:
        self._filter, self._most = name, SHOWN
        self.refresh()

    def _show_more(self) -> None:
        self._most += SHOWN
        self.refresh()


class Row:
    """One person in the list."""

    def __init__(self, viewer: Viewer, picture: Picture) -> None:
        self._viewer = viewer
        self._notes: list[Note] = []
        with Tag("li", data_device=picture.device) as self._item:
            self._card = link("", f"/wearer/{picture.device}", "card person")
            with self._card:
                self._sign = Tag("span", "disc", aria_hidden="true")
                with Tag("div"):
                    self._name = Tag("div", "name")
                    self._status = Tag("div", "status")
                    self._meta = Tag("div", "meta")
        self.update(picture)

    def update(self, picture: Picture) -> None:
        """Show this now."""
        self._card.wear("tone", tone_of(picture))
        how = status_of(self._viewer, picture)
        self._sign.put(data_sign=how.sign)
        self._name.say(picture.name)
        self._status.say(how.text)
        notes = notes_of(self._viewer, picture)
        if notes != self._notes:
            self._notes = notes
            self._meta.clear()
            with self._meta:
                note_line(notes)

    def remove(self) -> None:
        """No longer shown."""
        self._item.delete()


def note_line(notes: list[Note]) -> None:
    """Signs and words in a row."""
    for note in notes:
        Tag("span", text=note.text, data_sign=note.sign)


def headline(viewer: Viewer, pictures: list[Picture]) -> str:
    """How everybody is, in one sentence. It never says that all is well: at most that nobody calls, and only if somebody is heard."""
    if not pictures:
        return viewer.say("summary.nobody")
    for most, one, many in ((0, "summary.help.one", "summary.help.many"), (LOOK, "summary.look.one", "summary.look.many")):
        such = [picture for picture in pictures if picture.urgency <= most]
        if such:
            return viewer.say(one, name=such[0].name) if len(such) == 1 else viewer.say(many, count=len(such))
    heard = any(one.contact == "live" for one in pictures)
    return viewer.say("summary.well" if heard else "summary.unseen")


def show(viewer: Viewer) -> Callable[[], None]:
    """Build the page; what comes back keeps it fresh."""
    return Overview(viewer).refresh
