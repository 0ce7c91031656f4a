"""One's own account: whom one sees, another password, the way out. Forms of the browser's own (guardian/station/forms.py answers)."""

from collections.abc import Callable

from guardian.station import words
from guardian.station.accounts import WINDOW
from guardian.station.pages.tags import Tag
from guardian.station.pages.viewer import Viewer

PROBLEMS = ("wrong", "wait", "short", "long", "name", "simple")


def show(viewer: Viewer, problem: str = "", done: str = "") -> Callable[[], None]:
    """Build the page."""
    say, person, csrf = viewer.say, viewer.person, viewer.visit.csrf
    with Tag("div", "summary"):
        Tag("h1", text=say("account.title", name=person.name))
        names = viewer.names()
        seen = ", ".join(names.get(device, device) for device in sorted(person.wearers))
        Tag("p", "soft", say("account.admin") if person.role == "admin" else say("account.carer", names=seen))
    with Tag("div", "two"):
        with Tag("form", "card stack", method="post", action="/password"):
            Tag("h2", text=say("account.password"))
            if done == "password":
                Tag("p", "done", say("account.done"), role="status")
            elif problem == "wait":
                Tag("p", "problem", say("login.wait", wait=words.duration(WINDOW.total_seconds(), viewer.language)), role="alert")
            elif problem in PROBLEMS:
                Tag("p", "problem", say(f"account.{problem}"), role="alert")
            Tag("input", type="hidden", name="csrf", value=csrf)
            _password(say("account.old"), "old", "current-password")
            _password(say("account.new"), "new", "new-password")
            Tag("button", "button", say("account.password"), type="submit")
        with Tag("form", "card stack", method="post", action="/logout"):
            Tag("input", type="hidden", name="csrf", value=csrf)
            Tag("button", "button", say("account.logout"), type="submit")
            Tag("button", "button", say("account.everywhere"), type="submit", name="everywhere", value="1")
    return lambda: None


def _password(label: str, name: str, kind: str) -> None:
    with Tag("label", "field"):
        Tag("span", text=label)
        Tag("input", "input", name=name, type="password", autocomplete=kind, required=True)
