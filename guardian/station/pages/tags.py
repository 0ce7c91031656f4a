"""HTML's own elements, so that screen readers, keyboards and phones know what they are. Text is always text: nothing here parses HTML."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments


class Tag(TextElement):
    """An element with a text, classes and attributes; `None` leaves an attribute away. Attribute names write "_" for "-"."""

    def __init__(self, element: str, classes: str = "", text: str = "", **attributes: object) -> None:
        super().__init__(tag=element, text=text)
        if classes:
            self.classes(classes)
        self.put(**attributes)

    def put(self, **attributes: object) -> "Tag":
        """Set attributes, where they have changed."""
        for key, value in attributes.items():
            name = key.rstrip("_").replace("_", "-")
            if self.props.get(name) != value:
                self.props.set_optional(name, value)
        return self

    def say(self, text: str) -> "Tag":
        """Set the text."""
        if self.text != text:
            self.text = text
        return self

    def wear(self, kind: str, name: str) -> "Tag":
        """Of the classes `kind-*`, wear this one alone."""
        worn = f"{kind}-{name}"
        others = [one for one in self.classes if one.startswith(f"{kind}-") and one != worn]
        if others or worn not in self.classes:
            self.classes(add=worn, remove=" ".join(others))
        return self

    def show(self, shown: bool) -> "Tag":
        """There, or not there, for eyes and screen readers alike."""
        return self.put(hidden=None if shown else True)


def icon(name: str) -> Tag:
    """A sign of the Material Icons font that NiceGUI brings: for eyes alone, the words beside it say the same. See also data_sign=…"""
    return Tag("i", "icon", aria_hidden="true", data_sign=name)


def button(text: str, classes: str, pressed: Callable[[], Any], sign: str | None = None, title: str | None = None) -> Tag:
    """A button of its own kind."""
    made = Tag("button", classes, type="button", title=title)
    with made:
        if sign:
            icon(sign)
        Tag("span", text=text)
    made.on("click", pressed, args=[])
    return made


def link(text: str, path: str, classes: str = "", **attributes: object) -> Tag:
    """A way to another page of the station, without a reload. `path` is quoted."""
    return Tag("a", classes, text, href=quote(path, safe="/?=&:"), **attributes)


def choice(label: str, options: dict[str, str], value: str, chosen: Callable[[str], Any]) -> Tag:
    """A select of the browser's own, under its label: value -> text."""
    with Tag("label", "field"):
        Tag("span", text=label)
        made = Tag("select", "select")
        with made:
            for one, text in options.items():
                Tag("option", text=text, value=one, selected=True if one == value else None)

    def on_change(event: GenericEventArguments) -> Any:
        return chosen(str(event.args)) if str(event.args) in options else None  # the browser may send anything

    made.on("change", on_change, js_handler="(event) => emit(event.target.value)")
    return made


def search(label: str, typed: Callable[[str], Any]) -> Tag:
    """A search field that asks as one types."""
    with Tag("label", "field"):
        Tag("span", text=label)
        made = Tag("input", "input", type="search", autocomplete="off", spellcheck="false", maxlength=80)
    made.on(
        "input",
        lambda event: typed(str(event.args)[:80]),
        js_handler="(event) => emit(event.target.value)",
        throttle=0.2,
        leading_events=False,
    )
    return made


def told(text: str, bad: bool = False) -> None:
    """A short word on what was just done, read out by screen readers."""
    ui.notify(text, position="bottom", timeout=10000 if bad else 4000, classes="bad" if bad else "", group=False)
