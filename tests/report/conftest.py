"""A simulated person's ten weeks, made once, and pages read back as a browser would."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the report extra is not installed (pip install guardian[report])")

from guardian.__main__ import main
from guardian.sessions import FILE
from lab.history import UNTIL, WEEKS, write_history


class PageRead(HTMLParser):
    """What a page says in its data attributes, with the text that stands there for people."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: list[tuple[str, str, str, str]] = []  # session, field, data-value, shown text
        self.findings: list[tuple[str, str, str]] = []  # kind, session or "", text
        self.marks: list[list[str]] = []
        self.plan: dict[tuple[str, str], tuple[str, str]] = {}
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self._open: list[tuple[str, dict[str, str]]] = []
        self._texts: list[list[str]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.addresses += [
            value for name, value in given.items() if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset")
        ]
        if tag not in ("meta", "br", "img"):
            self._open.append((tag, given))
            self._texts.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        for texts in self._texts:
            texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if not self._open:
            return
        opened, given = self._open.pop()
        assert opened == tag, f"<{opened}> ends as </{tag}>"
        text = "".join(self._texts.pop())
        session = given.get("data-session") or next(
            (more["data-session"] for _, more in reversed(self._open) if "data-session" in more), ""
        )
        if "data-field" in given:
            self.values.append((session, given["data-field"], given["data-value"], text))
        if "data-finding" in given:
            self.findings.append((given["data-finding"], session, text))
        if "data-mark" in given:
            if given["data-mark"] == "t_s":
                self.marks.append([])
            self.marks[-1].append(given.get("data-value", text))
        if "data-plan" in given:
            exercise = next(more["data-exercise"] for _, more in reversed(self._open) if "data-exercise" in more)
            self.plan[exercise, given["data-plan"]] = (given.get("data-value", ""), text)


@pytest.fixture(scope="session")
def history_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty sessions, six things wrong with them."""
    path = tmp_path_factory.mktemp("history") / FILE
    assert len(write_history(path)) == 30
    return path


@pytest.fixture(scope="session")
def reported(history_db: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the command line wrote the report of all ten weeks, with CSV, and of the latest session."""
    into = tmp_path_factory.mktemp("reported")
    common = ["--db", str(history_db), "--out", str(into)]
    assert main(["report", "--last", f"{len(WEEKS)}w", "--until", UNTIL.isoformat(), "--csv", *common]) == 0
    assert main(["report", "latest", *common]) == 0
    return into


@pytest.fixture(scope="session")
def trend(reported: Path) -> str:
    """The page of ten weeks."""
    (page,) = reported.glob("guardian-*-to-*.html")
    return page.read_text(encoding="utf-8")
