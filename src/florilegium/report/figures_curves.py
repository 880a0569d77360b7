"""Training curves: every seed thin, their mean bold."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, members
from florilegium.report.runs import Run, curve
from florilegium.report.study import Entry
from florilegium.report.tables import axis


def draw_curves(material: Material, figure: Planned) -> Figure:
    """Validation accuracy and training loss against the epoch, one colour an arm."""
    entries = members(material.study, figure)
    fig = style.figure(3.4)
    accuracy, loss = fig.subplots(1, 2)
    for index, entry in enumerate(entries):
        look = {"color": style.colour(index), "linestyle": style.dashes(index)}
        runs = material.runs[entry.key]
        draw_runs(accuracy, runs, entry.scoring.validated, axis(entry.scoring.main, 1.0)[1], look)
        draw_runs(loss, runs, "train_loss", 1, look)
        loss.plot([], [], linewidth=PEN.bold, label=_legend(material, entry), **look)
    label = axis(entries[0].scoring.main, 1.0)[0].removeprefix("test ")
    _axes(accuracy, "Validation", label, "no validation split, so no curve")
    _axes(loss, "Training loss", "loss", "no finished run")
    style.legend(fig)
    style.frame(
        fig,
        material.study,
        figure.question,
        f"Thin lines: single runs ({material.n_seeds(entries)}); bold: their mean at each epoch. A cross marks where "
        "a run diverged. The loss is the one that was minimised, on augmented images, so that it can stay "
        "above the validation loss.",
    )
    return fig


class Pen(NamedTuple):
    """Widths of single runs and of their mean, and size and colour of a divergence's cross (None: the arm's)."""

    thin: float
    bold: float
    cross: float
    cross_colour: str | None = None


PEN = Pen(thin=0.9, bold=2.4, cross=8)


def draw_runs(
    ax: Axes, runs: Sequence[Run], column: str, scale: float, look: Mapping[str, Any], pen: Pen = PEN
) -> None:
    """A column of the history by epoch: single runs thin, their mean bold, a cross where a run diverged."""
    curves = []
    for run in runs:
        values = scale * curve(run, column)
        values[~np.isfinite(values)] = np.nan
        seen = np.flatnonzero(~np.isnan(values))
        if not len(seen):
            continue
        ax.plot(np.arange(1, len(values) + 1), values, linewidth=pen.thin, alpha=0.4, **look)
        if run.diverged:
            colour = pen.cross_colour or look["color"]
            ax.plot(seen[-1] + 1, values[seen[-1]], marker="x", markersize=pen.cross, color=colour, mew=2)
        else:
            curves.append(values)
    if curves:
        mean = mean_curve(curves)
        ax.plot(np.arange(1, len(mean) + 1), mean, linewidth=pen.bold, **look)


def mean_curve(curves: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean over runs at each epoch, over those that got so far; shape (longest,)."""
    padded = np.full((len(curves), max(len(c) for c in curves)), np.nan)
    for row, values in zip(padded, curves, strict=True):
        row[: len(values)] = values
    seen = np.sum(~np.isnan(padded), axis=0)
    return np.where(seen > 0, np.nansum(padded, axis=0) / np.maximum(seen, 1), np.nan)


def _legend(material: Material, entry: Entry) -> str:
    runs = material.runs[entry.key]
    label = material.label(entry)
    if not runs:
        return f"{label}: not run"
    validated = any(np.isfinite(curve(run, entry.scoring.validated)).any() for run in runs)
    return style.wrapped(label if validated else f"{label}: no validation", 64)


def _axes(ax: Axes, title: str, unit: str, empty: str) -> None:
    ax.set_title(title)
    if not any(len(line.get_xdata()) for line in ax.lines):  # type: ignore[arg-type]
        style.nothing(ax, empty)
        return
    ax.set_xlabel("epoch")
    ax.set_ylabel(unit)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    ax.set_ylim(bottom=0)
