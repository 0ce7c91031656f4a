"""Strangers, other families and clever pages at the door of a real station: a process of its own, on 127.0.0.1."""

import hashlib
import http.client
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from guardian.station.accounts import TRIES_HERE, Accounts
from guardian.station.jobs import Jobs
from guardian.station.settings import load
from guardian.station.store import Store
from guardian.station.words import say
from lab.durability import Broker
from tests.conftest import absent
from tests.integration.test_mosquitto import openssl
from tests.station.ward import Device, soon

PASSWORD, OTHER, WRONG = "correct horse battery", "a new one, just as long", "not the password at all"
PUSH = "json://127.0.0.1:9/a-secret-topic-0815"
GRANDMA, AUNT = "guardian-01", "guardian-02"
COOKIE = "guardian"
PAGE_ID = r"""['"]client_id['"]:\s*['"]([0-9a-f-]{36})['"]"""


class Station:
    """A running `guardian station`, with keeper (admin), daughter (carer of Grandma) and two wearers, Grandma and Aunt."""

    def __init__(self, folder: Path, broker: Broker, **page: Any) -> None:
        self.broker = broker
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.scheme = "https" if page.get("cert_file") else "http"
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        self.log = folder / "station.log"
        (folder / "push.url").write_text(PUSH)
        settings = {
            "station": {"state_dir": str(folder)},
            "broker": {"port": broker.port},
            "page": {"port": self.port, **page},
            "wearers": {GRANDMA: {"name": "Grandma", "contacts": ["phone"]}, AUNT: {"name": "Aunt", "contacts": ["phone"]}},
            "contacts": {"phone": {"url_file": str(folder / "push.url")}},
        }
        self.file = folder / "station.toml"
        self.file.write_text(_toml(settings))
        self.store = Store.opened(load(self.file))
        self.accounts = Accounts(self.store.engine)
        self.accounts.add("keeper", PASSWORD, "admin")
        self.accounts.add("daughter", PASSWORD, "carer", [GRANDMA])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "guardian", "station", "--config", str(self.file)], stdout=log, stderr=subprocess.STDOUT
            )
        soon(self._answers, "the station answers", 60)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.said()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def has_said(self, text: str) -> None:
        soon(lambda: text in self.said(), f"{text!r} in the log")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(20) in (0, -signal.SIGTERM), self.said()
        finally:
            self.process.kill()
            self.store.close()


class Browser:
    """What a browser does, as far as the door can tell: it keeps the cookie, and says which page it is on."""

    def __init__(self, station: Station, address: str = "127.0.0.1", origin: str | None = None) -> None:
        self.station = station
        self.origin = station.url if origin is None else origin
        transport = httpx.HTTPTransport(local_address=address, verify=False)
        self.client = httpx.Client(base_url=station.url, transport=transport, timeout=20)

    def reads(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def posts(self, path: str, headers: dict[str, str] | None = None, **form: str) -> httpx.Response:
        return self.client.post(path, data=form, headers={"origin": self.origin, **(headers or {})})

    def logs_in(self, name: str = "keeper", password: str = PASSWORD, **form: str) -> httpx.Response:
        return self.posts("/login", name=name, password=password, **form)

    @property
    def token(self) -> str:
        return str(self.client.cookies.get(COOKIE, ""))

    def page_of(self, path: str = "/") -> str:
        """NiceGUI's id of a page that is loaded now."""
        found = re.search(PAGE_ID, self.reads(path).text)
        assert found
        return found[1]

    def csrf(self) -> str:
        found = re.search(r'"name":"csrf","value":"([\w-]{43})"', self.reads("/account").text.replace('": "', '":"'))
        assert found, "the account page has a form with the login's token"
        return found[1]

    def opens(self, page_id: str, origin: str | None = None, token: str | None = None) -> ClientConnection:
        """The page's websocket. Raises InvalidStatus where the station refuses it."""
        query = f"client_id={page_id}&tab_id=t&document_id=d&next_message_id=0&implicit_handshake=true&EIO=4&transport=websocket"
        cookie = {"Cookie": f"{COOKIE}={token if token is not None else self.token}"}
        url = f"{self.station.url.replace('http', 'ws', 1)}/_nicegui_ws/socket.io/?{query}"
        line = connect(url, origin=(origin or self.origin) or None, additional_headers=cookie, open_timeout=20)  # type: ignore[arg-type]
        assert str(line.recv(20)).startswith("0")
        line.send("40")
        return line

    def close(self) -> None:
        self.client.close()


def _toml(settings: dict[str, Any], prefix: str = "") -> str:
    text = ""
    for key, value in settings.items():
        if isinstance(value, dict):
            text += f"[{prefix}{key}]\n" + _toml({k: v for k, v in value.items() if not isinstance(v, dict)})
            text += _toml({k: v for k, v in value.items() if isinstance(v, dict)}, f"{prefix}{key}.")
        else:
            text += f"{key} = {msgspec.json.encode(value).decode()}\n"
    return text


def answer_of(line: ClientConnection) -> str:
    """What NiceGUI answers to the page that connects: "40" welcome, "44" load again; "" when it is hung up."""
    try:
        while True:
            said = str(line.recv(20))
            if said.startswith(("40", "44")):
                return said
    except (ConnectionClosed, TimeoutError):
        return ""


@pytest.fixture(scope="module")
def station(mosquitto: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    folder = tmp_path_factory.mktemp("station")
    broker = Broker(mosquitto, folder)
    broker.start()
    made = Station(folder, broker)
    yield made
    made.close()
    broker.kill()


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    made: list[Any] = []

    def keep(one: Any) -> Any:
        made.append(one)
        return one

    yield keep
    for one in reversed(made):
        one.close()


@pytest.fixture
def browser(station: Station, opened: Callable[[Any], Any]) -> Browser:
    made = opened(Browser(station))
    assert isinstance(made, Browser)
    return made


@pytest.fixture
def keeper(browser: Browser) -> Browser:
    browser.logs_in("keeper")
    assert browser.token
    return browser


@pytest.fixture
def daughter(station: Station, opened: Callable[[Any], Any]) -> Browser:
    made = opened(Browser(station))
    assert isinstance(made, Browser)
    made.logs_in("daughter")
    assert made.token
    return made


# --- the password


def test_without_a_login_every_page_is_the_way_to_the_login_page(browser: Browser) -> None:
    for path in ("/", f"/wearer/{GRANDMA}", "/history", "/account", "/no-such-page", "/docs", "/openapi.json"):
        answer = browser.reads(path)
        assert answer.status_code == 303, path
        assert urlsplit(answer.headers["location"]).path == "/login"
        assert "Grandma" not in answer.text


def test_the_right_password_opens_and_leads_to_where_one_wanted_to_go(browser: Browser) -> None:
    answer = browser.logs_in(to=f"/wearer/{GRANDMA}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/wearer/{GRANDMA}")
    for word in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert word in answer.headers["set-cookie"]
    assert browser.reads("/").status_code == 200


@pytest.mark.parametrize("name", ["keeper", "nobody", "<script>alert(1)</script>"])
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(browser: Browser, name: str) -> None:
    answer = browser.logs_in(name, WRONG)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?problem=wrong&wait=0&to=%2F")
    assert "set-cookie" not in answer.headers
    assert browser.reads("/").status_code == 303
    assert "alert(1)" not in browser.reads(answer.headers["location"]).text


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/%0d%0aset-cookie:x", "/\r\nx: y"]
)
def test_a_prepared_link_to_the_login_page_leads_nowhere_else(browser: Browser, to: str) -> None:
    place = browser.logs_in(to=to).headers["location"]
    assert urlsplit(place).netloc == "" and place.startswith("/") and not place.startswith(("//", "/\\"))


def test_guessing_is_slowed_down_whatever_address_is_claimed(station: Station, opened: Callable[[Any], Any]) -> None:
    guesser = opened(Browser(station, address="127.0.0.5"))
    places = [
        guesser.posts("/login", {"x-forwarded-for": f"198.51.100.{n}"}, name="keeper", password=WRONG).headers["location"]
        for n in range(TRIES_HERE + 1)
    ]
    problems = [parse_qs(urlsplit(place).query)["problem"][0] for place in places]
    assert problems == ["wrong"] * TRIES_HERE + ["wait"]
    last = guesser.logs_in("keeper", PASSWORD)
    assert "problem=wait" in last.headers["location"] and "set-cookie" not in last.headers, "right, but too late"
    assert int(parse_qs(urlsplit(last.headers["location"]).query)["wait"][0]) > 600
    station.has_said("login of keeper from 127.0.0.5: too many attempts")
    assert opened(Browser(station, address="127.0.0.6")).logs_in("keeper").headers["location"] == "/"


# --- the cookie


def test_a_forged_cookie_opens_nothing(station: Station, browser: Browser, keeper: Browser) -> None:
    real = keeper.token
    changed = ("A" if real[0] != "A" else "B") + real[1:]
    with sqlite3.connect(station.store.engine.url.database or "") as plain:
        hashes = [row[0] for row in plain.execute("SELECT token_hash FROM login")]
    assert hashes
    for forged in ("", "x", changed, real + "A", *hashes[:3], "../../etc/passwd", "' OR 1=1 --", "A" * 3000):
        answer = httpx.get(f"{station.url}/", headers={"cookie": f"{COOKIE}={forged}"})
        assert answer.status_code == 303, forged
    assert httpx.get(f"{station.url}/", headers={"cookie": f"{COOKIE}={real}"}).status_code == 200, "and the real one does"


def test_an_expired_cookie_opens_nothing_and_the_page_says_that_nobody_watches(station: Station, keeper: Browser) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=8)).replace(tzinfo=None).isoformat(" ")
    with sqlite3.connect(station.store.engine.url.database or "") as plain:
        plain.execute("UPDATE login SET last_seen = ? WHERE token_hash = ?", (long_ago, _hash(keeper.token)))
    place = keeper.reads("/").headers["location"]
    assert place.startswith("/login?problem=over")
    assert say("login.over", "en") in keeper.reads(place).text


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def test_a_cookie_planted_before_the_login_is_not_the_one_after_it(station: Station, browser: Browser) -> None:
    browser.client.cookies.set(COOKIE, "planted-by-somebody-else")
    answer = browser.logs_in()
    assert "planted" not in answer.headers["set-cookie"]
    assert httpx.get(f"{station.url}/", headers={"cookie": f"{COOKIE}=planted-by-somebody-else"}).status_code == 303


def test_logging_out_everywhere_ends_the_other_browser_too(station: Station, keeper: Browser, opened: Callable[[Any], Any]) -> None:
    elsewhere = opened(Browser(station))
    elsewhere.logs_in("keeper")
    assert elsewhere.reads("/").status_code == 200
    assert keeper.posts("/logout", csrf=keeper.csrf(), everywhere="1").headers["location"] == "/login"
    assert elsewhere.reads("/").status_code == 303


def test_an_open_page_is_cut_off_when_its_login_ends(station: Station, keeper: Browser) -> None:
    line = keeper.opens(keeper.page_of())
    assert answer_of(line).startswith("40")
    keeper.posts("/logout", csrf=keeper.csrf())

    def hung_up() -> bool:
        try:
            if str(line.recv(20)) == "2":
                line.send("3")  # the answer to a ping, as a page gives it by itself
        except (ConnectionClosed, TimeoutError):
            return True
        return False

    soon(hung_up, "the websocket is cut", 30)
    station.has_said("websocket of keeper cut")


# --- requests from other pages


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "http://localhost:{port}", "null", ""])
def test_a_form_on_another_page_changes_nothing(station: Station, keeper: Browser, origin: str) -> None:
    csrf = keeper.csrf()
    keeper.origin = origin.format(port=station.port)
    answers = [
        keeper.posts("/logout", csrf=csrf),
        keeper.posts("/password", csrf=csrf, old=PASSWORD, new=OTHER),
        keeper.posts("/login", name="daughter", password=PASSWORD),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert keeper.reads("/").status_code == 200, "still in"
    station.has_said("from another site")


def test_the_browsers_own_word_on_the_site_counts_too(keeper: Browser) -> None:
    assert keeper.posts("/logout", {"sec-fetch-site": "cross-site"}, csrf=keeper.csrf()).status_code == 403
    assert keeper.reads("/").status_code == 200


def test_a_form_without_this_logins_token_changes_nothing(station: Station, keeper: Browser, daughter: Browser) -> None:
    for csrf in ({}, {"csrf": ""}, {"csrf": "x" * 43}, {"csrf": daughter.csrf()}):
        assert keeper.posts("/password", old=PASSWORD, new=OTHER, **csrf).status_code == 403
        assert keeper.posts("/logout", everywhere="1", **csrf).status_code == 403
    station.has_said("POST '/password' of keeper without its token refused")
    assert keeper.reads("/").status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
def test_another_page_gets_no_websocket_even_with_the_cookie(station: Station, keeper: Browser, origin: str) -> None:
    page = keeper.page_of()
    with pytest.raises(InvalidStatus) as refused:
        keeper.opens(page, origin=origin)
    assert refused.value.response.status_code == 403
    station.has_said("websocket '/_nicegui_ws/socket.io/' from another site")
    assert answer_of(keeper.opens(page)).startswith("40"), "and our own page does"


def test_there_is_no_other_way_to_the_pages_events_than_the_websocket(keeper: Browser) -> None:
    path = f"/_nicegui_ws/socket.io/?EIO=4&transport=polling&client_id={keeper.page_of()}"
    assert keeper.reads(path).status_code == 404
    assert keeper.client.post(path, content="40", headers={"origin": keeper.origin}).status_code == 404


def test_a_page_answers_to_nobody_but_its_own_login(keeper: Browser, daughter: Browser, browser: Browser) -> None:
    page = keeper.page_of()
    assert "handshake failed" in answer_of(daughter.opens(page))
    assert "handshake failed" in answer_of(daughter.opens(page, token=""))
    assert "handshake failed" in answer_of(daughter.opens(f"{daughter.page_of()}&client_id={page}&client_id={daughter.page_of()}"[37:]))
    assert answer_of(keeper.opens(page)).startswith("40")


# --- another family's wearer


def heard(browser: Browser, path: str, beats: int = 2) -> str:
    """All that a page says at first, and until its next beats."""
    answer = browser.reads(path)
    assert answer.status_code == 200
    said = answer.text
    page = re.search(PAGE_ID, said)
    assert page
    line = browser.opens(page[1])
    begun = 0
    while begun < beats:
        message = str(line.recv(20))
        said += message
        begun += message.count("beat(")
        if message == "2":
            line.send("3")
    line.close()
    return said


def test_another_familys_wearer_is_on_no_page(station: Station, keeper: Browser, daughter: Browser, opened: Callable[[Any], Any]) -> None:
    grandma, aunt = opened(Device(station.broker.port, GRANDMA)), opened(Device(station.broker.port, AUNT))
    for seq, device in enumerate((grandma, aunt), start=1):
        device.online()
        device.says(session=f"s{seq}-1-1")
        device.tells(1, "session_started", install=f"s{seq}")
    soon(lambda: len(station.store.events(limit=10)) >= 2, "both are stored")
    paths = [
        "/",
        f"/wearer/{AUNT}",
        f"/wearer/{AUNT}?x=1",
        f"/wearer/./{AUNT}",
        "/history",
        f"/session/{AUNT}/s2-1-1",
        f"/session/{GRANDMA}/s2-1-1",
    ]
    with ThreadPoolExecutor() as together:
        pages = dict(zip(paths, together.map(lambda path: heard(daughter, path), paths), strict=True))
        seen = list(together.map(heard, [keeper, keeper, daughter, daughter], ["/", f"/wearer/{AUNT}", "/", f"/wearer/{GRANDMA}"]))
    for path, said in pages.items():
        told = said.replace(path, "")  # its own address, which daughter typed herself
        assert "Aunt" not in told and "s2-1-1" not in told, path
    assert ["Aunt" in said for said in seen] == [True, True, False, False]
    assert all("Grandma" in said for said in (seen[0], *seen[2:]))


CLICKS = {"command.locate": "locate", "command.test": "test", "alarm.acknowledge": "ack", "command.clear": "", "command.clear_yes": "clear"}


def test_a_page_that_was_open_when_rights_were_taken_away_can_do_nothing_more(
    station: Station, opened: Callable[[Any], Any], chromium: Any
) -> None:
    """Every click that daughter could do is kept as her browser sent it, and sent again after."""
    device = opened(Device(station.broker.port, GRANDMA))
    device.online()
    alarm = device.tells(2, "fall", install="s1")
    device.says(state="FALLEN", alarm_id=alarm, fall="ON", session="s1-1-1")
    station.accounts.add("max", PASSWORD, "carer", [GRANDMA])
    page = chromium.new_page()
    frames: list[str] = []
    page.on("websocket", lambda line: line.on("framesent", lambda frame: frames.append(str(frame))))
    page.goto(f"{station.url}/login")
    page.fill("input[name=name]", "max")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{station.url}/")
    page.goto(f"{station.url}/wearer/{GRANDMA}")

    def asked(cmd: str) -> bool:
        return cmd in [told["cmd"] for told in device.commands]

    for key, cmd in CLICKS.items():
        page.get_by_role("button", name=say(key, "en")).first.click()
        soon(lambda cmd=cmd: page.wait_for_timeout(20) or not cmd or asked(cmd), f"{cmd}; {station.said()[-1000:]}")
    page.get_by_role("combobox").first.select_option(index=1)
    soon(lambda: page.wait_for_timeout(20) or asked("exercise"), "exercise")
    done = len(device.commands)
    clicks = [frame.partition("[")[2] for frame in frames if '["event"' in frame]
    assert len(clicks) >= 5
    station.accounts.change("max", "carer", [AUNT])
    for click in clicks:
        page.evaluate("(click) => window.socket.emit(...JSON.parse('[' + click))", click)
    told = "max: another's wearer 'guardian-01' refused"
    soon(lambda: page.wait_for_timeout(20) or station.said().count(told) >= 5, station.said()[-1000:])  # each but the dialog's opening
    assert len(device.commands) == done
    station.accounts.change("max", "carer", [GRANDMA])
    page.goto(f"{station.url}/wearer/{GRANDMA}")
    page.get_by_role("button", name=say("command.locate", "en")).first.click()
    soon(lambda: page.wait_for_timeout(20) or len(device.commands) > done, "and with the right it is done again")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    found = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("chromium", "playwright is not installed")
    if found is None:
        absent("chromium", "chromium is not installed (apt install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_a_script_that_got_into_a_page_does_not_run(station: Station, chromium: Any) -> None:
    page = chromium.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(f"{station.url}/login")
    page.evaluate(
        """() => {
            window.ran = [];
            const add = (html) => document.body.appendChild(document.createRange().createContextualFragment(html));
            add('<script>window.ran.push("script")</script>');
            add('<img src="x" onerror="window.ran.push(1)">');
            add('<script src="https://evil.example/x.js"></script>');
        }"""
    )
    soon(lambda: page.wait_for_timeout(20) or len([text for text in refused if "Content Security Policy" in text]) >= 3, str(refused))
    assert page.evaluate("window.ran") == []


# --- what else strangers try


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/_nicegui/{version}/static/../../../../../../../etc/passwd",
        "/_nicegui/{version}/static/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/_nicegui/{version}/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/_nicegui/{version}/static//etc/passwd",
        "/_nicegui/{version}/libraries/../../../../../../etc/passwd",
        "/_nicegui/{version}/resources/x/..%2f..%2f..%2fetc%2fpasswd",
        "/_nicegui/{version}/esm/nicegui-echart/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/_nicegui/auto/static/etc/passwd",
        "/_nicegui/../station.db",
        "/_nicegui/client/x/../../../../etc/passwd",
        "/station.toml",
        "/wearer/..%2f..%2f..%2fetc%2fpasswd",
        "/%00",
        "/_nicegui/{version}/static/%00",
        "//evil.example/%2e%2e",
        "/" + "a" * 5000,
    ],
)
def test_no_path_leads_to_a_file(station: Station, keeper: Browser, path: str) -> None:
    from nicegui import __version__

    for cookie in ("", f"{COOKIE}={keeper.token}"):
        line = http.client.HTTPConnection("127.0.0.1", station.port, timeout=20)
        line.putrequest("GET", path.format(version=__version__), skip_accept_encoding=True)
        line.putheader("Cookie", cookie)
        line.endheaders()
        answer = line.getresponse()
        body = answer.read()
        line.close()
        assert answer.status < 500
        assert b"root:" not in body and b"SQLite format" not in body and b"a-secret-topic" not in body


def test_every_answer_is_armoured(station: Station, keeper: Browser) -> None:
    """Pages, refusals, errors, files: what a browser may do with them is said with each."""
    from nicegui import __version__

    answers = [
        keeper.reads("/"),
        keeper.reads("/login"),
        keeper.reads("/no-such-page"),
        keeper.reads(f"/_nicegui/{__version__}/static/nicegui.js"),
        keeper.posts("/logout", everywhere="1"),
        keeper.client.request("DELETE", "/", headers={"origin": station.url}),
        httpx.get(station.url),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        for word in ("default-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'", "form-action 'self'"):
            assert word in policy
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert "'unsafe-inline'" not in scripts and "http" not in scripts and "*" not in scripts
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "server" not in answer.headers
        static = "/static/" in str(answer.url)
        assert ("no-store" in answer.headers["cache-control"]) is not static
    page = answers[0]
    nonce = re.search(r"'nonce-([\w-]+)'", page.headers["content-security-policy"])
    assert nonce and page.text.count("<script") == page.text.count(f'<script nonce="{nonce[1]}"') > 5
    assert nonce[1] not in keeper.reads("/").headers["content-security-policy"], "a new one each time"


def test_all_that_a_page_loads_comes_from_here_and_is_there(station: Station, keeper: Browser) -> None:
    said = keeper.reads(f"/wearer/{GRANDMA}").text
    files = set(re.findall(r"/_nicegui/[\d.]+/[\w./-]+\.(?:m?js|css)", said))
    assert len(files) > 5
    for file in files:
        answer = httpx.get(station.url + file)
        assert answer.status_code == 200, file
        assert len(answer.content) < 1000 or answer.headers["content-encoding"] == "gzip", file
    assert set(re.findall(r"""(?:src|href)=["'](https?:)?//[^"']+""", said)) == set()


def test_what_is_no_short_form_is_refused(keeper: Browser) -> None:
    origin = {"origin": keeper.origin}
    assert (
        keeper.client.post(
            "/login", content=b"x" * 5000, headers={**origin, "content-type": "application/x-www-form-urlencoded"}
        ).status_code
        == 413
    )
    assert keeper.client.post("/login", files={"name": b"x"}, headers=origin).status_code == 415
    assert keeper.client.post("/login", json={"name": "keeper"}, headers=origin).status_code == 415
    assert keeper.client.put("/login", data={"name": "keeper"}, headers=origin).status_code == 405
    assert keeper.client.post("/login", data={str(n): "x" for n in range(50)}, headers=origin).status_code == 400
    assert keeper.posts("/nowhere", csrf=keeper.csrf()).status_code == 404
    assert keeper.reads("/").status_code == 200


def test_a_forwarded_prefix_is_not_believed(keeper: Browser) -> None:
    said = keeper.client.get("/", headers={"x-forwarded-prefix": "/evil-prefix"})
    assert "evil-prefix" not in said.text


# --- where it listens


def listening(port: int) -> set[str]:
    """The addresses at which anybody listens on a port (proc(5): /proc/net/tcp, state 0A)."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port}


def test_it_listens_on_this_machine_alone(station: Station) -> None:
    assert listening(station.port) == {"0100007F"}


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1", "station.example"])
def test_elsewhere_only_with_tls(tmp_path: Path, bind: str) -> None:
    words = ["station", "--set", f"page.bind={bind}", "--set", f"station.state_dir={tmp_path}", "--set", "broker.port=1"]
    done = subprocess.run([sys.executable, "-m", "guardian", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "page.cert_file" in done.stderr and "behind_proxy" in done.stderr and "Traceback" not in done.stderr


def test_with_tls_the_cookie_is_for_tls_alone(mosquitto: str, tmp_path: Path, opened: Callable[[Any], Any]) -> None:
    openssl(
        *(tmp_path, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"),
        *("-keyout", "page.key", "-out", "page.crt", "-days", "2"),
    )  # fmt: skip
    broker = Broker(mosquitto, tmp_path)
    broker.start()
    station = opened(Station(tmp_path, broker, cert_file=str(tmp_path / "page.crt"), key_file=str(tmp_path / "page.key")))
    try:
        answer = opened(Browser(station)).logs_in()
        assert answer.headers["location"] == "/"
        assert answer.headers["set-cookie"].startswith("__Host-guardian=") and "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]
        assert opened(Browser(station, origin=f"http://127.0.0.1:{station.port}")).logs_in().status_code == 403, "not from a page without"
    finally:
        broker.kill()


# --- what is written down


def test_no_secret_is_in_the_log_of_a_whole_day(mosquitto: str, tmp_path: Path, opened: Callable[[Any], Any]) -> None:
    """Right and wrong passwords, a change, a fall that is pushed in vain, a forged cookie, a restart of the broker."""
    broker = Broker(mosquitto, tmp_path)
    broker.start()
    station, secrets = opened(Station(tmp_path, broker)), {PASSWORD, OTHER, WRONG, "a-secret-topic-0815", "forged-cookie-of-mine"}
    browser = opened(Browser(station))
    browser.logs_in("keeper", WRONG)
    browser.logs_in(WRONG, WRONG)
    browser.logs_in("keeper")
    secrets |= {browser.token, _hash(browser.token), browser.csrf()}
    httpx.get(station.url, headers={"cookie": f"{COOKIE}=forged-cookie-of-mine"})
    page = browser.page_of()
    assert answer_of(browser.opens(page)).startswith("40")
    device = opened(Device(broker.port, GRANDMA))
    device.online()
    fall = device.tells(1, "fall")
    soon(lambda: any(job.error for job in Jobs(station.store.engine).find(event_id=fall)), "the push was tried")
    broker.kill()
    broker.start()
    assert browser.posts("/password", csrf=browser.csrf(), old=WRONG, new=OTHER).headers["location"] == "/account?problem=wrong"
    assert browser.posts("/password", csrf=browser.csrf(), old=PASSWORD, new=OTHER).headers["location"] == "/account?done=password"
    browser.posts("/logout", csrf=browser.csrf())
    with sqlite3.connect(station.store.engine.url.database or "") as plain:
        secrets |= {row[0] for row in plain.execute("SELECT password_hash FROM user")}
    station.process.send_signal(signal.SIGTERM)
    station.process.wait(20)
    broker.kill()
    said = station.said()
    assert "login of keeper" in said and "changed their password" in said, "it is the log of this day"
    assert [secret for secret in secrets if secret in said] == []
