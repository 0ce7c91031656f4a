"""The pages: login, everyone, one wearer, history, account.

Why NiceGUI: the pages are Python that is typed and tested like the rest, live over one websocket, and the wheel brings Vue, the charts and
the fonts along, so that a station without the internet needs nothing from anywhere. Of its ready-made parts little is used: native
elements (tags.py) and one stylesheet (look.css) serve phones, keyboards and screen readers better.
"""

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import Any

from nicegui import Client, ui
from starlette.requests import Request

from guardian.station.accounts import Accounts
from guardian.station.command import Command
from guardian.station.live import Live
from guardian.station.pages import account, history, login, overview, session, wearer
from guardian.station.pages.pulse import Pulse
from guardian.station.pages.shell import FAVICON, shell
from guardian.station.pages.viewer import Parts, Viewer
from guardian.station.settings import Settings
from guardian.station.store import Store
from guardian.station.words import say


def build(store: Store, live: Live, command: Command, accounts: Accounts, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Declare the pages, once in a process; guardian.station.server serves them. `live` must be started before the server is."""
    parts = Parts(store, live, command, accounts, settings, clock)
    pulse = Pulse(parts)
    login.declare()

    def page(request: Request, client: Client) -> None:
        viewer = Viewer(parts, client, request.state.visit, request.headers.get("accept-language", ""))
        shell(viewer, routes(viewer))
        pulse.join(viewer)

    ui.page("/{_:path}", title=say("page.title", "en"), favicon=FAVICON, dark=None)(page)


def routes(viewer: Viewer) -> dict[str, Callable[..., Any]]:
    """path -> what builds the page within the page, and keeps it fresh from then on."""

    def kept(show: Callable[..., Callable[[], None]]) -> Callable[..., None]:
        def made(**of_the_path: str) -> None:
            viewer.refresh = show(viewer, **of_the_path)

        made.__signature__ = inspect.Signature(list(inspect.signature(show).parameters.values())[1:])  # type: ignore[attr-defined]
        return made

    return {
        "/": kept(overview.show),
        "/wearer/{device}": kept(wearer.show),
        "/history": kept(history.show),
        "/session/{device}/{session_id}": kept(session.show),
        "/account": kept(account.show),
    }
