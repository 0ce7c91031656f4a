"""The way in: a plain form of the browser's own, which password keepers understand. The gate answers it (guardian/station/forms.py)."""

from nicegui import ui
from starlette.requests import Request

from guardian.station import words
from guardian.station.pages.shell import FAVICON, dressed, mark
from guardian.station.pages.tags import Tag

PROBLEMS = {"wrong": "login.refused", "refused": "login.refused", "wait": "login.wait", "over": "login.over"}


def declare() -> None:
    """The page /login."""

    @ui.page("/login", title=words.say("page.title", "en"), favicon=FAVICON, dark=None)
    def login(request: Request, to: str = "/", problem: str = "", wait: int = 0) -> None:
        language = words.language_of(None, request.headers.get("accept-language", ""))
        dressed(language)
        with Tag("main", "gate"), Tag("form", "card", method="post", action="/login"):
            with Tag("h1"):
                mark(language)
            Tag("p", "soft", words.say("login.lead", language))
            if problem in PROBLEMS:
                minutes = words.duration(max(60, min(wait, 86400)), language)
                Tag("p", "problem", words.say(PROBLEMS[problem], language, wait=minutes), role="alert")
            Tag("input", type="hidden", name="to", value=to[:500])
            with Tag("label", "field"):
                Tag("span", text=words.say("login.name", language))
                Tag("input", "input", name="name", autocomplete="username", autocapitalize="none", spellcheck="false", required=True)
            with Tag("label", "field"):
                Tag("span", text=words.say("login.password", language))
                Tag("input", "input", name="password", type="password", autocomplete="current-password", required=True)
            Tag("button", "button strong", words.say("login.submit", language), type="submit")
            Tag("p", "soft small", words.say("page.not_medical", language))
