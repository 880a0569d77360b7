"""The marks of which figures consist, each drawn in one place: a mean with its interval, single runs, published ranges,
rows of names, grids of panels, heat maps and pictures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, inf, isfinite
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from florilegium.figures import style
from florilegium.report.statistics import Interval

NAMES = 1.5  # inches that the names of rows of pictures take
DARK = 0.6  # share of a heat map's range from which on its cells are written in white
ROOM = 3  # lines for which a row has room
LINE = 0.17  # inches of one
T = TypeVar("T")
Cells = Mapping[tuple[int, int], str]  # texts by (row, column)

# Values. They lie along the x axis, or along the y axis where a mark stands `upright`.


def _line(ax: Axes, along: Any, across: Any, marker: str, *, upright: bool, **look: Any) -> None:
    ax.plot(*((across, along) if upright else (along, across)), marker, **look)


def interval(
    ax: Axes, ends: Sequence[float], at: float, colour: str, *, upright: bool = False, width: float = 2.6
) -> None:
    """A bar from the lower to the upper end; none where an end is not finite."""
    _line(ax, ends, [at, at], "-", upright=upright, color=colour, linewidth=width, zorder=3)


def estimate(
    ax: Axes, summary: Interval, at: float, colour: str, *, upright: bool = False, width: float = 2.6, **look: Any
) -> None:
    """A mean as a dot on the bar of its interval, which is `width` points wide; `at` is the place on the other axis."""
    mean, *ends = summary
    interval(ax, ends, at, colour, upright=upright, width=width)
    look = {"markersize": 8, "color": colour, "markeredgecolor": "white", "zorder": 4, **look}
    _line(ax, mean, at, "o", upright=upright, **look)


def dots(ax: Axes, values: Sequence[float], at: float, colour: str, *, upright: bool = False, **look: Any) -> None:
    """Single runs as small dots, all at the same place on the other axis."""
    look = {"markersize": 4, "alpha": 0.45, "color": colour, "zorder": 3, **look}
    _line(ax, values, [at] * len(values), "o", upright=upright, **look)


def band(ax: Axes, low: float, high: float, at: float, half: float, *, upright: bool = False) -> None:
    """A published range, `half` wide to both sides of `at` on the other axis."""
    across = [at - half, at + half]
    (ax.fill_between if upright else ax.fill_betweenx)(across, low, high, color=style.BAND, zorder=1)
    # A single number has no width of its own, and must be visible all the same.
    middle, look = [(low + high) / 2] * 2, {"linewidth": 3, "solid_capstyle": "butt", "zorder": 1}
    _line(ax, middle, across, "-", upright=upright, color=style.BAND, **look)


def key(ax: Axes, *, mean: str = "mean, 95 % interval", has_band: bool) -> None:
    """Entries of the legend for means, and for published ranges where there are any."""
    ax.plot([], [], "o", color=style.INK, label=mean)
    if has_band:
        ax.fill_between([], [], color=style.BAND, label="published")


# Rows and panels


def rows(ax: Axes, names: Sequence[str], **font: Any) -> None:
    """A row for each name, the first at height 0 and each next one lower by 1; long names make the figure taller."""
    fig, lines = ax.get_figure(root=True), max((name.count("\n") + 1 for name in names), default=1)
    if fig is not None and lines > ROOM:
        fig.set_figheight(max(fig.get_figheight(), 0.6 + LINE * lines * len(names)))
    ax.set_yticks([-row for row in range(len(names))], names, **font)
    ax.set_ylim(-len(names) + 0.4, 0.6)
    without_rules(ax)


def without_rules(ax: Axes) -> None:
    """Neither ticks nor grid lines across, since each row has a name."""
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)


def remark(
    ax: Axes, text: str, place: tuple[float, float], *, gap: float = 5, at_edge: bool = False, **look: Any
) -> None:
    """Small text `gap` points right of a place in data units; `at_edge`, its x is a fraction of the axes' width."""
    ax.annotate(
        text, place, xycoords=("axes fraction", "data") if at_edge else "data", xytext=(gap, 0),
        textcoords="offset points", va="center", **{"fontsize": 8, "color": style.SOFT, **look},
    )  # fmt: skip


def panels(count: int, height: float, beside: float = 0.4) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, two a row; `height` of a row and `beside` for what is around all, in inches."""
    n_rows = ceil(count / 2)
    fig = style.figure(beside + height * n_rows)
    axes = list(fig.subplots(n_rows, min(count, 2), squeeze=False).flat)
    for ax in axes[count:]:
        ax.set_visible(False)
    return fig, axes[:count]


# Heat maps


def heatmap(
    fig: Figure, ax: Axes, values: NDArray[Any], cells: Cells, *, label: str, shrink: float = 1, **look: Any
) -> None:
    """Values (rows, columns) as shades, with texts on cells; `label` is the values' unit, on a colour bar as long as
    `shrink` of the axes."""
    shades = ax.imshow(values, cmap="Blues", interpolation="nearest", **{"aspect": "auto", **look})
    low, high = shades.get_clim()
    for (row, column), text in cells.items():
        value = values[row, column]
        is_dark = isfinite(value) and high > low and (value - low) / (high - low) > DARK
        colour = "white" if is_dark else style.INK
        ax.text(column, row, text, ha="center", va="center", fontsize=7.5, linespacing=1.3, color=colour)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    fig.colorbar(shades, ax=ax, shrink=shrink, label=label)


def confusion(fig: Figure, ax: Axes, counts: NDArray[np.int64], most: int, **look: Any) -> None:
    """Counts (rows, columns) as a heat map of their shares of the row in per cent; with the counts above zero, unless
    there are more than `most` rows, too many to be read."""
    places = zip(*np.nonzero(counts), strict=True) if len(counts) <= most else ()
    cells = {(int(i), int(j)): str(counts[i, j]) for i, j in places}
    heatmap(fig, ax, 100 * shares(counts), cells, vmin=0, vmax=100, **look)


def shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Counts (rows, columns) as shares of their row; a row of zeros stays one."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), dtype=np.float64)


# Pictures


def picture_rows(count: int, columns: int, beside: float, tallest: float = inf) -> tuple[Figure, NDArray[np.object_]]:
    """A figure with rows of square pictures and its axes (count, columns); `beside`: inches of a row over and under its
    pictures, `tallest`: inches of a row at most."""
    fig = style.figure(count * min((style.WIDTH - NAMES) / columns + beside, tallest))
    return fig, fig.subplots(count, columns, squeeze=False)


def each(axes: Sequence[Axes], things: Iterable[T]) -> Iterator[tuple[Axes, T]]:
    """Things, each with axes of its own; axes that are left over are hidden."""
    things = list(things)
    for ax in axes[len(things) :]:
        ax.set_axis_off()
    yield from zip(axes, things, strict=False)


def picture(ax: Axes, image: NDArray[Any], *, edge: str | None = None, **look: Any) -> None:
    """An image without ticks, in a thin frame, or in a thick one of the colour `edge`."""
    ax.imshow(image, interpolation="nearest", **look)
    ax.set(xticks=[], yticks=[])
    framed(ax)
    if edge:
        for spine in ax.spines.values():
            spine.set(color=edge, linewidth=2.5)


def overlay(ax: Axes, colours: NDArray[np.float64], side: int, interpolation: str) -> None:
    """Colours (rows, columns, 4) spread over a square picture of `side` pixels."""
    ax.imshow(colours, extent=(-0.5, side - 0.5, side - 0.5, -0.5), interpolation=interpolation)


def framed(ax: Axes) -> None:
    """Without a grid, in a thin frame."""
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set(visible=True, linewidth=0.6)


def heading(ax: Axes, text: str, size: float = 7.5, **look: Any) -> None:
    """A small title in the middle above a picture."""
    ax.set_title(text, fontsize=size, fontweight="normal", loc="center", **look)


def name_row(ax: Axes, name: str) -> None:
    """The name of a row of pictures, left of its first axes."""
    ax.set_ylabel(style.wrapped(name, 20), rotation=0, ha="right", va="center", fontsize=8.5, labelpad=10)
