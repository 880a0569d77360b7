"""Rows of pictures, an arm each: what figures of attention and attribution share."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned
from florilegium.report.study import Entry

NAMES = 1.5  # inches that the names of rows take


def folders(
    material: Material, entries: Sequence[Entry], stage: str, file: str
) -> dict[str, tuple[Entry, Path]]:
    """Where `stage` left its `file` of each arm's first seed, by the arm's name for people."""
    found = {}
    for entry in entries:
        for run in material.runs[entry.key]:
            folder = run.folder / stage
            if run.seed == entry.seeds[0] and (folder / file).is_file():
                found[material.label(entry) + (" (diverged)" if run.diverged else "")] = entry, folder
    return found


def empty(
    material: Material,
    figure: Planned,
    why: str = "no finished run",
    caption: str = "Nothing has been looked at yet.",
) -> Figure:
    """The figure of arms that have not been run."""
    fig = style.figure(2.0)
    style.nothing(fig.subplots(), why)
    style.frame(fig, material.study, figure.question, caption)
    return fig


def row_height(columns: int, beside: float) -> float:
    """Height in inches of a row of square pictures, with `beside` for what stands over and under them."""
    return (style.WIDTH - NAMES) / columns + beside


def name_row(ax: Axes, name: str) -> None:
    """The name of a row, left of its first axes."""
    ax.set_ylabel(style.wrapped(name, 20), rotation=0, ha="right", va="center", fontsize=8.5, labelpad=10)
