"""The forms that a browser posts: in, out, another password. Whatever else a page does goes over its websocket.

    POST /login     name, password, to            303 to `to`, with the cookie; or to /login?problem=wrong|wait&wait=SECONDS&to=…
    POST /logout    csrf, everywhere (optional)   303 to /login
    POST /password  csrf, old, new                303 to /account?done=password, or ?problem=wrong|wait|short|long|name|simple

`csrf` is request.state.visit.csrf of the page with the form. The gate has looked at the origin already.
"""

import asyncio
import logging
from urllib.parse import parse_qs, quote

from guardian.station.accounts import LONGEST, Accounts, Forbidden, Refused, Visit, WeakPassword, same
from guardian.station.gate import LOGIN, Receive, Scope, Send, answer, cookie_name, go, is_secure
from guardian.station.settings import Page

log = logging.getLogger(__name__)

ACCOUNT = "/account"
FORM_MAX = 4096  # bytes: a name, two passwords and a token


class Forms:
    """An ASGI application behind the gate."""

    def __init__(self, accounts: Accounts, page: Page) -> None:
        self._accounts = accounts
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One POST."""
        path, visit = scope["path"], scope["state"]["visit"]
        form = await _form(scope, receive)
        if isinstance(form, int):
            await answer(send, form, "refused: only short forms are taken")
        elif path == LOGIN:
            await self._log_in(scope, send, form)
        elif visit is None:
            await go(send, LOGIN)
        elif not same(form.get("csrf", ""), visit.csrf):
            log.warning("POST %.80r of %s without its token refused", path, visit.person.name)
            await answer(send, 403, "refused: the form is not of this login; load the page again")
        elif path == "/logout":
            await self._log_out(send, visit, "everywhere" in form)
        elif path == "/password":
            await self._change_password(scope, send, visit, form)
        else:
            await answer(send, 404, "not found")

    async def _log_in(self, scope: Scope, send: Send, form: dict[str, str]) -> None:
        to = _ours(form.get("to", "/"))
        try:
            token, _ = await asyncio.to_thread(self._accounts.log_in, form.get("name", ""), form.get("password", ""), _address(scope))
        except Refused as refused:
            await go(send, f"{LOGIN}?problem={refused.why}&wait={refused.wait_s}&to={quote(to, safe='')}")
        else:
            await go(send, to, self._cookie(token, int(LONGEST.total_seconds())))

    async def _log_out(self, send: Send, visit: Visit, everywhere: bool) -> None:
        if everywhere:
            await asyncio.to_thread(self._accounts.log_out_everywhere, visit.person.name)
        else:
            await asyncio.to_thread(self._accounts.log_out, visit)
        await go(send, LOGIN, self._cookie("", 0))

    async def _change_password(self, scope: Scope, send: Send, visit: Visit, form: dict[str, str]) -> None:
        old, new, address = form.get("old", ""), form.get("new", ""), _address(scope)
        try:
            await asyncio.to_thread(self._accounts.change_password, visit, old, new, address)
        except (Refused, WeakPassword) as error:
            await go(send, f"{ACCOUNT}?problem={error.why}")
        except Forbidden:
            await go(send, LOGIN)
        else:
            await go(send, f"{ACCOUNT}?done=password")

    def _cookie(self, token: str, age_s: int) -> str:
        """Lax: a link in a message opens the page, and no other site's form or script gets it sent along."""
        secure = "; Secure" if is_secure(self._page) else ""
        return f"{cookie_name(self._page)}={token}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"


async def _form(scope: Scope, receive: Receive) -> dict[str, str] | int:
    """The fields, or the status that refuses them."""
    kind = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
    if scope["method"] != "POST":
        return 405
    if kind.partition(b";")[0].strip().lower() != b"application/x-www-form-urlencoded":
        return 415
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > FORM_MAX:
            return 413
    try:
        fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True, errors="replace", max_num_fields=20)
    except ValueError:
        return 400
    return {key: values[0] for key, values in fields.items()}


def _ours(to: str) -> str:
    """A path of this host, whatever somebody wrote into the link to the login page."""
    fine = to.startswith("/") and not to.startswith(("//", "/\\", LOGIN)) and to.isprintable() and to.isascii()
    return to if fine else "/"


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
