"""HTML by hand: a text is always text. Only what is Markup goes into a page unescaped."""

from html import escape


class Markup(str):
    """HTML that may stand in a page as it is."""

    __slots__ = ()


def tag(element: str, /, *inside: str, **attributes: object) -> Markup:
    """An element. Attribute names write "_" for "-", and end in "_" where Python has the word; None and False leave one away."""
    parts = [element]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        word = key.rstrip("_").replace("_", "-")
        parts.append(word if value is True else f'{word}="{escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    return Markup(opening) if element in VOID else Markup(f"{opening}{text(*inside)}</{element}>")


def text(*inside: str) -> Markup:
    """Pieces one after the other: HTML as it is, all else escaped."""
    return Markup("".join(piece if isinstance(piece, Markup) else escape(piece) for piece in inside))


VOID = frozenset({"meta", "br", "img"})
