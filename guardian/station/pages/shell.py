"""What is around every page: the look, the banners that say when somebody is blind, the sound, the ways to elsewhere."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.elements.sub_pages import SubPages

from guardian.station import words
from guardian.station.pages.tags import Tag, choice, icon, link
from guardian.station.pages.viewer import Viewer
from guardian.station.words import LANGUAGES, Language

HERE = Path(__file__).parent
LOOK = (HERE / "look.css").read_text(encoding="utf-8")
SCRIPT = (HERE / "page.js").read_text(encoding="utf-8")
STALLED_S = 5.0  # without a new snapshot: then the pictures are old, whatever the reason


def dressed(language: Language) -> None:
    """The look, and what helps without scripts."""
    ui.add_head_html(f"<style>{LOOK}</style>")
    ui.add_head_html(f"<script>document.documentElement.lang = {json.dumps(language)}</script>")
    ui.add_head_html('<meta name="theme-color" content="#f6f4ef" media="(prefers-color-scheme: light)">')
    ui.add_head_html('<meta name="theme-color" content="#11171a" media="(prefers-color-scheme: dark)">')
    ui.add_body_html(f"<noscript><p>{words.say('page.noscript', language)}</p></noscript>")


FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#1b8a6b" stroke-width="3" stroke-linecap="round"'
    ' stroke-linejoin="round"><circle cx="16" cy="16" r="13"/><path d="M20.5 10.5 12.5 16l8 5.5M9.5 11v10"/></svg>'
)


def mark(language: Language, path: str | None = None) -> None:
    """The name, with its sign: a way back, watched."""
    lines = {"fill": "none", "stroke": "currentColor", "stroke_width": "2.6", "stroke_linecap": "round", "stroke_linejoin": "round"}
    with Tag("a" if path else "span", "mark", href=path):
        with Tag("svg", viewBox="0 0 32 32", aria_hidden="true", **lines):
            Tag("circle", cx="16", cy="16", r="13.2")
            Tag("path", d="M20.5 10.5 L12.5 16 L20.5 21.5 M9.5 11 V21")
        Tag("span", text=words.say("page.title", language))


def alive(viewer: Viewer) -> None:
    """The script that hears the beat and sounds, and the words that it speaks. Nothing of the broker's is among them."""
    say = viewer.say
    spoken = {
        "title": say("page.title"),
        "blind": say("blind.page", ago="{ago}"),
        "blind_title": say("blind.title"),
        "ago": say("time.ago", duration="{duration}"),
        "seconds": say("time.seconds", count="{count}"),
        "minutes": say("time.minutes", count="{count}"),
    }
    ui.add_body_html(f'<script type="application/json" id="station-words">{json.dumps(spoken)}</script>')
    ui.add_body_html(f"<script>{SCRIPT}</script>")


class Pages(SubPages):
    """The pages within the page: changing between them keeps the connection, and the permission to sound."""

    def __init__(self, viewer: Viewer, routes: dict[str, Callable[..., Any]]) -> None:
        self._viewer = viewer
        super().__init__(routes)

    def _render_page(self, match: Any) -> bool:
        self._viewer.refresh = lambda: None  # the page before this one is gone
        return super()._render_page(match)

    def _render_404(self) -> None:
        Tag("h1", text=self._viewer.say("page.not_found"))
        link(self._viewer.say("page.back"), "/", "back")

    def _render_error(self, _: Exception) -> None:
        Tag("h1", text=self._viewer.say("page.trouble"))


def shell(viewer: Viewer, routes: dict[str, Callable[..., Any]]) -> None:
    """The whole page, with the one within it that the path names."""
    say = viewer.say
    dressed(viewer.language)
    alive(viewer)
    with Tag("div", "page"):
        Tag("a", "skip", say("page.skip"), href="#content")
        with Tag("div", "banners"):
            _banner("blind-page", "")
            blind = {name: _banner(f"blind-{name}", say(f"blind.{name}")) for name in ("broker", "database")}
            with Tag("button", "hush", type="button", id="hush", hidden=True):
                icon("volume_off")
                Tag("span", text=say("sound.enable"))
        with Tag("header", "head"):
            mark(viewer.language, "/")
            with Tag("nav", "nav", aria_label=say("page.navigation")):
                ways = {path: _way(say(key), path, sign) for path, key, sign in (
                    ("/", "page.overview", "groups"), ("/history", "page.history", "history"), ("/account", "page.account", "person"),
                )}  # fmt: skip
        with Tag("main", "main", id="content", tabindex="-1"):
            Pages(viewer, routes)
        _foot(viewer)

    def around() -> None:
        for name, banner in blind.items():
            banner.show(name in troubles(viewer))
        here = viewer.client.sub_pages_router.current_path.partition("?")[0]
        for path, way in ways.items():
            way.put(aria_current="page" if path == here else None)

    viewer.around = around
    around()


def troubles(viewer: Viewer) -> set[str]:
    """What the station itself cannot see: its broker, its database."""
    now = viewer.parts.live.now
    found = {"broker"} if now.blind.broker else set()
    stalled = (viewer.now - now.at).total_seconds() > STALLED_S + viewer.parts.settings.page.refresh_s
    return found | {"database"} if now.blind.database or stalled else found


def _way(text: str, path: str, sign: str) -> Tag:
    with link("", path) as way:
        icon(sign)
        Tag("span", text=text)
    return way


def _banner(name: str, text: str) -> Tag:
    with Tag("div", "banner", role="alert", id=name, hidden=True) as banner:
        icon("visibility_off")
        Tag("span", text=text, id=f"{name}-text")
    return banner


def _foot(viewer: Viewer) -> None:
    """The language, and what this page is not."""

    async def speak(language: str) -> None:
        await asyncio.to_thread(viewer.parts.accounts.speak, viewer.person.name, language)
        viewer.client.run_javascript("window.location.reload()")

    with Tag("footer", "foot small soft"):
        Tag("p", text=f"{viewer.say('sound.on')}. {viewer.say('sound.only_open')}", id="sound-on", hidden=True)
        Tag("p", text=viewer.say("page.not_medical"))
        with Tag("div", "language"):
            choice(viewer.say("page.language"), {str(code): name for code, name in LANGUAGES.items()}, viewer.language, speak)
