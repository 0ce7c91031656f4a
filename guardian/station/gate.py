"""The gate of the station's page: who comes in, from which page a request may come, and what a browser may do with the answer.

Theory of operation. Every request passes here before the pages see it. The login is a random token in a cookie; pages find its visit in
`request.state.visit`, which is None on the login page alone: elsewhere there is a visit, or the answer is the way to the login page. What
a visit may see and do is asked again at every action (Accounts.require).

A browser sends the cookie along whatever page made it ask, that of another program on this machine included (ports do not part cookies).
So whatever changes something must come from a page of ours: a POST and the page's websocket carry an Origin that is this very host, and a
POST of somebody logged in carries the login's csrf token too, as a field of the form. Pages speak over the websocket alone (no polling).
It belongs to the login that got the page, and is cut within seconds when that login ends.

NiceGUI writes scripts into its pages; the gate gives each a nonce, and a script that somebody smuggled in has none (texts from outside are
in the page's data only, where NiceGUI escapes each "<"). Vue compiles its templates in the browser, hence 'unsafe-eval'; NiceGUI's styles
cannot carry a nonce, hence 'unsafe-inline' for them.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, quote

from guardian.config import ConfigError
from guardian.station.accounts import Accounts, Visit
from guardian.station.settings import Page

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOGIN = "/login"
SOCKET = "/_nicegui_ws/"
STATIC = "/_nicegui/"  # NiceGUI's own scripts, styles and fonts: the same for everybody, and for one version of it
FOREVER = b"public, max-age=31536000, immutable"
OPEN = frozenset({LOGIN, "/favicon.ico"})
READING = frozenset({"GET", "HEAD"})
NO_PAGE = "implicit_handshake=true&client_id=none"  # NiceGUI reads the first of each, knows no such page, and answers "load again"
AGAIN_S = 2.0  # between two looks at whether a websocket's login still stands
POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "media-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
ARMOUR = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",  # with no-referrer, browsers send "Origin: null" with our own forms
    b"permissions-policy": b"camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


def server_options(page: Page) -> dict[str, Any]:
    """uvicorn's keywords for this page. Raises ConfigError where passwords and health data would travel in the clear."""
    if not (page.cert_file or page.behind_proxy or _is_loopback(page.bind)):
        raise ConfigError(
            f"page.bind = {page.bind!r} can be reached from other machines, and passwords would travel in the clear: set page.cert_file and"
            " page.key_file, or put a proxy with TLS before it and set page.behind_proxy = true"
        )
    return {
        "host": page.bind,
        "port": page.port,
        "ssl_certfile": page.cert_file or None,
        "ssl_keyfile": page.key_file or None,
        "proxy_headers": page.behind_proxy,  # else anybody could choose the address that the brake on guessing counts
        "server_header": False,
        "access_log": False,
        "ws_max_size": 1_000_000,  # bytes; clicks and short texts
    }


def is_secure(page: Page) -> bool:
    """Whether browsers reach this page by https."""
    return bool(page.cert_file) or page.behind_proxy


def cookie_name(page: Page) -> str:
    """With TLS the name itself forbids that another host or a page without TLS sets it (RFC 6265bis, 4.1.3.2)."""
    return "__Host-guardian" if is_secure(page) else "guardian"


class Gate:
    """An ASGI application around the pages', the forms', and that of the files that are the same for everybody.

    `visit_of`: the visit for which a page was made, by NiceGUI's id of that page; raises LookupError when there is no such page.
    """

    def __init__(self, pages: App, forms: App, files: App, accounts: Accounts, page: Page, visit_of: Callable[[str], Visit | None]) -> None:
        self.app = pages
        self._forms = forms
        self._files = files
        self._accounts = accounts
        self._secure = is_secure(page)
        self._cookie = cookie_name(page)
        self._visit_of = visit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request, a websocket, or the server's life span."""
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, reading, headers = scope["path"], scope["method"] in READING, _headers(scope)
        send = self._armoured(send, path)
        if path.startswith(SOCKET) or ".." in path or "//" in path or not path.isprintable():
            await answer(send, 404, "not found")
            return
        if path.startswith(STATIC) and reading:
            await self._files(scope, receive, send)
            return
        visit = await self._visit(headers)
        scope = _bare(scope)
        scope["state"] = {**scope.get("state", {}), "visit": visit}
        if not reading:
            if not self._is_ours(headers):
                log.warning("%s %.80r from another site (%.80r) refused", scope["method"], path, headers.get("origin"))
                await answer(send, 403, "refused: this request does not come from the station's own page")
                return
            await self._forms(scope, receive, send)
        elif visit is None and path not in OPEN:
            here = path + (f"?{scope['query_string'].decode(errors='replace')}" if scope["query_string"] else "")
            over = "problem=over&" if self._cookie in headers.get("cookie", "") else ""  # it was logged in: nobody watches this screen now
            await go(send, f"{LOGIN}?{over}to={quote(here, safe='')}")
        else:
            await self.app(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Only for the page's own script, and for the login that got the page."""
        headers = _headers(scope)
        if not (scope["path"].startswith(SOCKET) and self._is_ours(headers)):
            log.warning("websocket %.80r from another site (%.80r) refused", scope["path"], headers.get("origin"))
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: the browser sees 403
            return
        visit = await self._visit(headers)
        page_id = parse_qs(scope["query_string"].decode(errors="replace")).get("client_id", [""])[0]
        try:
            made_for = self._visit_of(page_id)
        except LookupError:
            stranger = True
        else:
            stranger = (made_for and made_for.login) != (visit and visit.login)
        if stranger:  # a page of before a restart, of a login that is over, or of somebody else's: NiceGUI tells it to load again
            log.debug("websocket for a page that is not of this login: sent to load again")
            scope = {**scope, "query_string": f"{NO_PAGE}&{scope['query_string'].decode(errors='replace')}".encode()}
        await self.app(_bare(scope), receive if visit is None else self._watched(receive, visit), send)

    def _watched(self, receive: Receive, visit: Visit) -> Receive:
        """What the page says, as long as its login stands."""
        looked_s = time.monotonic()
        waiting: asyncio.Future[Message] | None = None

        async def watched() -> Message:
            nonlocal looked_s, waiting
            waiting = waiting or asyncio.ensure_future(receive())
            try:
                done = False
                while not done:
                    await asyncio.wait({waiting}, timeout=max(0.0, looked_s + AGAIN_S - time.monotonic()))
                    done = waiting.done()
                    if time.monotonic() < looked_s + AGAIN_S:
                        continue
                    if await asyncio.to_thread(self._accounts.again, visit) is None:
                        log.info("websocket of %s cut: the login is over", visit.person.name)
                        waiting.cancel()
                        return {"type": "websocket.disconnect", "code": 1008}
                    looked_s = time.monotonic()
            except asyncio.CancelledError:
                waiting.cancel()
                raise
            message, waiting = waiting.result(), None
            return message

        return watched

    async def _visit(self, headers: dict[str, str]) -> Visit | None:
        try:
            token = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return None
        return None if token is None else await asyncio.to_thread(self._accounts.visit, token.value)

    def _is_ours(self, headers: dict[str, str]) -> bool:
        """Whether a request comes from a page of this very host. Browsers say it with each POST and each websocket."""
        origin, host, site = headers.get("origin"), headers.get("host"), headers.get("sec-fetch-site", "same-origin")
        return bool(host) and site == "same-origin" and origin == f"{'https' if self._secure else 'http'}://{host}"

    def _armoured(self, send: Send, path: str) -> Send:
        """Answers with the headers that protect them. A page's scripts get their nonce, for which it is held until it is whole."""
        nonce = secrets.token_urlsafe(16)
        armour = {**ARMOUR, b"content-security-policy": POLICY.format(nonce=nonce).encode()}
        if self._secure:
            armour[b"strict-transport-security"] = b"max-age=31536000"
        armour[b"cache-control"] = FOREVER if path.startswith(STATIC) else b"no-store"
        held: Message | None = None
        body = b""

        async def armoured(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start":
                if message["status"] != 200:
                    armour[b"cache-control"] = b"no-store"
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in armour]
                message = {**message, "headers": [*kept, *armour.items()]}
                if dict(kept).get(b"content-type", b"").startswith(b"text/html"):
                    held = message
                else:
                    await send(message)
            elif held is None or message["type"] != "http.response.body":
                await send(message)
            else:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                body = body.replace(b"<script", b'<script nonce="' + nonce.encode() + b'"')
                others = [(name, value) for name, value in held["headers"] if name.lower() != b"content-length"]
                await send({**held, "headers": [*others, (b"content-length", str(len(body)).encode())]})
                await send({"type": "http.response.body", "body": body})

        return armoured


async def answer(send: Send, status: int, text: str) -> None:
    """A line of plain text."""
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def go(send: Send, path: str, cookie: str | None = None) -> None:
    """To another page of this host."""
    headers = [(b"location", path.encode()), (b"content-length", b"0")]
    if cookie is not None:
        headers.append((b"set-cookie", cookie.encode()))
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _bare(scope: Scope) -> Scope:
    """Without what a stranger could steer the page by, and without compression, since the page's scripts get their nonce afterwards."""
    drop = (b"x-forwarded-prefix", b"accept-encoding")
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name.lower() not in drop]}


def _is_loopback(bind: str) -> bool:
    try:
        return ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"
