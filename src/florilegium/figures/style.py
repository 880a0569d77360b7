"""One look for every figure: colours, type, title, caption, and the badge of a demo.

Figures are made without pyplot, so there is no global state, and equal content is saved as equal bytes.
"""

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from florilegium.core.files import atomic
from florilegium.core.names import boxes_for_letters, drawn, short

INTERVAL = "95 % interval over seeds and test images (of one run: over images; of what is no test score: over seeds)"
# Okabe and Ito's palette (2008, "Color Universal Design"), less its yellow, which fades on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
DASHES = ("-", "--", ":")
INK = "#1F2328"
SOFT = "#6B7280"
GRID = "#E5E7EB"
BAND = "#C9CED6"
RIGHT = "#009E73"
WRONG = "#D55E00"
WIDTH = 9.0  # inches
DPI = 144
MARGIN = 0.15  # inches
RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9CA3AF",
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.solid_capstyle": "round",
    "savefig.facecolor": "white",
}
# Fonts for the scripts that DejaVu lacks, where a machine has them; elsewhere such letters are drawn as boxes.
OTHER_SCRIPTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic"),
    *("WenQuanYi Zen Hei", "Noto Sans Devanagari", "Noto Sans Thai", "Noto Emoji", "Arial Unicode MS"),
)
Drawing = tuple[Figure, str]  # a figure, and the caption that goes under it


def write(path: Path, question: str, draw: Callable[[], Drawing], *, is_demo: bool) -> Path:
    """Draw a figure and write it, with its question above and its caption below, to `path`, which is returned."""
    with applied(), boxes_for_letters():
        fig, caption = draw()
        frame(fig, question, caption, is_demo=is_demo)
        save(fig, path)
    return path


@contextmanager
def applied() -> Iterator[None]:
    """Draw and save inside this context."""
    there = set(fontManager.get_font_names())
    with mpl.rc_context(RC | {"font.family": [RC["font.family"], *(font for font in OTHER_SCRIPTS if font in there)]}):
        yield


def frame(fig: Figure, question: str, caption: str, *, is_demo: bool) -> None:
    """Put the question above the drawing, the caption below it, and a badge on a demo: last, since it measures what was
    drawn. Both texts are kept for those who cannot see the figure, too."""
    left, bottom, top = _extent(fig)
    inch, badge = 1 / fig.get_figheight(), None
    if is_demo:
        badge = fig.text(
            1.0, top + 0.2 * inch, "DEMO", ha="right", va="bottom", fontsize=10,
            fontweight="bold", color="white", bbox={"boxstyle": "round,pad=0.4", "fc": "#B45309", "ec": "none"},
        )  # fmt: skip
    heading = fig.text(left, top + 0.16 * inch, drawn(question), ha="left", va="bottom", fontsize=13, fontweight="bold")
    _wrap(heading, _inches(badge).x0 - 2 * MARGIN if badge else fig.get_figwidth())
    below = fig.text(
        left, bottom - 0.16 * inch, drawn(caption), ha="left", va="top", fontsize=8.5, color=SOFT, linespacing=1.45
    )
    _wrap(below, fig.get_figwidth())
    fig.set_label(f"{question} {caption}".strip())


def _wrap(text: Text, right: float) -> None:
    """Break a text into lines, as long as fit between its left end and `right` inches."""
    whole, room = text.get_text(), right - _inches(text).x0
    for width in range(int(room * 18), 9, -1):  # more characters than fit
        text.set_text(textwrap.fill(whole, width))
        if _inches(text).width <= room:
            return


def _inches(text: Text) -> Bbox:
    """Where a text stands, without a box around it; in inches."""
    figure = text.get_figure(root=True)
    assert figure is not None
    return text.get_window_extent().transformed(figure.dpi_scale_trans.inverted())


def save(fig: Figure, path: Path) -> None:
    """Write a PNG that is equal to the byte for equal content; nothing is clipped."""
    box = fig.get_tightbbox().padded(MARGIN)
    words = str(fig.get_label()).encode("utf-8", "replace").decode()  # a name may hold bytes that are no text
    metadata = {"Software": None, **({"Description": words} if words else {})}
    with atomic(path) as temporary:
        fig.savefig(temporary, format="png", dpi=DPI, bbox_inches=box, metadata=metadata)


def _extent(fig: Figure) -> tuple[float, float, float]:
    """Left, bottom and top of what is drawn, as fractions of the figure; settles the axes' places."""
    engine = fig.get_layout_engine()
    if engine is not None:
        engine.execute(fig)
        fig.set_layout_engine("none")  # what is added from now on lies outside the axes
    box = fig.get_tightbbox()  # inches
    return box.x0 / fig.get_figwidth(), box.y0 / fig.get_figheight(), box.y1 / fig.get_figheight()


def figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure whose axes make room for their labels; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def line(index: int) -> dict[str, Any]:
    """Colour and dashes of a line, so that more lines than colours can be told apart."""
    return {"color": colour(index), "linestyle": DASHES[index // len(PALETTE) % len(DASHES)]}


def legend(fig: Figure, columns: int = 2) -> None:
    """One legend of all axes, under everything drawn so far."""
    left, bottom, _ = _extent(fig)
    anchor = (left, bottom - 0.1 / fig.get_figheight())
    fig.legend(loc="upper left", bbox_to_anchor=anchor, ncols=columns, borderpad=0, borderaxespad=0, handlelength=2.6)


def nothing(ax: Axes, why: str) -> None:
    """Say in an empty panel why it is empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", va="center", color=SOFT)


def empty(why: str = "no finished run", caption: str = "Nothing has been looked at yet.") -> Drawing:
    """A figure that says why there is nothing to draw."""
    fig = figure(2.0)
    nothing(fig.subplots(), why)
    return fig, caption


def class_name(name: str) -> str:
    """The name of a class as it is drawn, in one line that leaves room for the picture."""
    return drawn(short(name, 40))


def title(text: str) -> str:
    """The title of an arm as it is drawn; it may be wrapped."""
    return drawn(short(text, 120))


def wrapped(label: str, width: int = 34) -> str:
    return textwrap.fill(label, width)
