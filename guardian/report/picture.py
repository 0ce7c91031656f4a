"""The report's pictures. Time runs to the right and is shared by all panels of a picture; what is not known is a gap, never a line across.

Every picture is drawn twice, for a desk (and paper) and for a phone, because letters that are scaled down cannot be read. Nothing is told
by colour alone: bands are named or hatched, events have signs of their own. SVG with real letters, small and sharp; PNG for where a page
cannot go.
"""

from collections.abc import Callable, Sequence
from io import BytesIO, StringIO

import matplotlib
from matplotlib.figure import Figure, FigureBase
from msgspec import Struct

from guardian.report.markup import Markup

INK, SOFT, LINE = "#1c2326", "#556064", "#dcd7cb"
MAIN = "#0b5d52"
CAUTION, STOP, UNKNOWN = "#f5c451", "#d8434e", "#b9bec0"
ALARM = "#7d0a14"
SIGNS = (  # event types, sign, colour, size, name in the legend
    (("caution",), "v", "#b98a00", 5, "caution"),
    (("stop", "obstacle"), "v", STOP, 7, "stop"),
    (("near_fall",), "o", "#6a1b9a", 7, "near-fall"),
    (("imminent_fall", "fall_suspected", "fall", "long_lie", "sos"), "X", ALARM, 8, "fall or alarm"),
    (("fault", "battery_low", "not_guarding", "not_worn"), "s", SOFT, 5, "device"),
    (("coach",), "|", "#2c7f96", 6, "coach"),
)
RC = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a text from a device is a text, dollar signs too
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.constrained_layout.use": True,
    "path.simplify_threshold": 0.3,
}
NOTHING = float("nan")  # in a line: a gap


class Width(Struct, frozen=True):
    """For what a picture is drawn: how wide, in inches, and how many panels and legend entries stand side by side."""

    name: str
    inches: float
    columns: int
    legend: int


DESK = Width("desk", 10.0, 3, 7)
PHONE = Width("phone", 4.9, 1, 3)
Draw = Callable[[FigureBase, Width], None]


class Picture(Struct, frozen=True):
    """Something that can be drawn at any width. `tall`: height in inches at a width."""

    name: str
    says: str  # for who cannot see it
    tall: Callable[[Width], float]
    draw: Draw


def svg(picture: Picture, width: Width) -> Markup:
    """The picture as an element of a page: no other file, no address that a browser would fetch."""
    with matplotlib.rc_context({**RC, "svg.hashsalt": f"{picture.name}-{width.name}"}):
        figure = Figure(figsize=(width.inches, picture.tall(width)))
        picture.draw(figure, width)
        text = StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawn = text.getvalue()
    return Markup(_own_ids(drawn[drawn.index("<svg") :], f"{picture.name}-{width.name}-"))


def png(pictures: Sequence[Picture], title: str) -> bytes:
    """All pictures below each other, as on a desk."""
    heights = [picture.tall(DESK) for picture in pictures]
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(DESK.inches, sum(heights) + 0.5), facecolor="white")
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
        parts = figure.subfigures(len(pictures), 1, height_ratios=heights, squeeze=False)
        for picture, part in zip(pictures, parts[:, 0], strict=True):
            picture.draw(part, DESK)
        data = BytesIO()
        figure.savefig(data, format="png", dpi=130, metadata={"Software": None})
    return data.getvalue()


def _own_ids(drawn: str, prefix: str) -> str:
    """Two pictures in one page must not share ids: a reference would find the other's."""
    for before, after in ((' id="', f' id="{prefix}'), ('href="#', f'href="#{prefix}'), ("url(#", f"url(#{prefix}")):
        drawn = drawn.replace(before, after)
    return drawn
