"""The page's server: uvicorn, the gate, and NiceGUI's pages inside it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI
from nicegui import Client, core, ui
from starlette.middleware.gzip import GZipMiddleware

from guardian.station.accounts import Accounts, Visit
from guardian.station.forms import Forms
from guardian.station.gate import STATIC, Gate, server_options
from guardian.station.settings import Page
from guardian.station.watchdog import feed

RECONNECT_S = 15.0  # a phone that changes from Wi-Fi to its own network keeps its page


def server(page: Page, accounts: Accounts, works: Mapping[str, Callable[[], bool]] | None = None, **ui_options: Any) -> uvicorn.Server:
    """Ready to run; the pages are those that were declared with ui.page. Raises ConfigError (gate.server_options).

    `works`: the station's other parts, for systemd's watchdog (watchdog.feed); `ui_options`: of ui.run_with.
    """
    options = server_options(page)

    @asynccontextmanager
    async def fed(_: FastAPI) -> AsyncIterator[None]:
        feeding = asyncio.create_task(feed(made, works or {}))
        yield
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding

    outer = FastAPI(openapi_url=None, lifespan=fed)
    core.app.config.socket_io_js_transports = ["websocket"]
    ui.run_with(outer, **{"reconnect_timeout": RECONNECT_S, "show_welcome_message": False, **ui_options})
    files = [route for route in core.app.routes if getattr(route, "path", "").startswith(STATIC)]
    gate = Gate(outer, Forms(accounts, page), GZipMiddleware(FastAPI(openapi_url=None, routes=files)), accounts, page, _visit_of)
    made = uvicorn.Server(uvicorn.Config(gate, log_config=None, log_level="warning", **options))
    return made


def _visit_of(page_id: str) -> Visit | None:
    visit = Client.instances[page_id].request.state.visit
    assert visit is None or isinstance(visit, Visit)
    return visit
