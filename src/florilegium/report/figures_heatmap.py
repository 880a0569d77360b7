"""A metric over two values of the arms, a cell an arm."""

from collections.abc import Sequence
from math import ceil, isfinite
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.core.metrics import WORDS
from florilegium.figures import style
from florilegium.figures.arms import called, said, text
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, members
from florilegium.report.measures import counted
from florilegium.report.statistics import Interval
from florilegium.report.study import Entry
from florilegium.report.tables import axis, number


def draw_heatmap(material: Material, figure: Planned) -> Figure:
    """One panel a metric, `x` across and `by` down; each cell says its mean, interval and number of seeds."""
    assert figure.chosen is not None and figure.chosen.x is not None and figure.chosen.by is not None
    entries, x, by = members(material.study, figure), figure.chosen.x, figure.chosen.by
    metrics = figure.chosen.metrics or (entries[0].scoring.main,)
    across, down = _order(entries, x), _order(entries, by)
    n_rows = ceil(len(metrics) / 2)
    fig = style.figure((0.9 + 0.62 * len(down)) * n_rows + 0.6)
    axes = fig.subplots(n_rows, min(len(metrics), 2), squeeze=False)
    for ax in axes.flat[len(metrics) :]:
        ax.set_visible(False)
    for ax, metric in zip(axes.flat, metrics, strict=False):
        _panel(fig, ax, material, {(said(e, by), said(e, x)): e for e in entries}, down, across, metric)
        ax.set(xlabel=called(x), ylabel=called(by))
    style.frame(
        fig,
        material.study,
        figure.question,
        f"Means over seeds ({material.n_seeds(entries)}, {material.n_tests(entries)}) with the 95 % interval below, and how many "
        "runs stand behind a cell. Runs that diverged are left out and counted.",
    )
    return fig


def _order(entries: Sequence[Entry], path: str) -> list[Any]:
    """The values in rising order where they are numbers, else as the study has them."""
    found = list(dict.fromkeys(said(entry, path) for entry in entries))
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in found)
    return sorted(found) if is_number else found


def _panel(
    fig: Figure,
    ax: Axes,
    material: Material,
    arms: dict[tuple[Any, Any], Entry],
    down: Sequence[Any],
    across: Sequence[Any],
    metric: str,
) -> None:
    means = np.full((len(down), len(across)), np.nan)
    told: dict[tuple[int, int], str] = {}
    scale = axis(metric, 1.0)[1]
    for (row, column), entry in arms.items():
        place = down.index(row), across.index(column)
        runs = material.runs[entry.key]
        mean, low, high = material.summary(metric, entry)
        means[place] = scale * mean
        told[place] = _told(metric, (mean, low, high), len(counted(metric, runs)), len(runs))
    if not np.isfinite(means).any():
        style.nothing(ax, f"{WORDS[metric]}: no finished run")
        return
    drawn = ax.imshow(means, cmap="Blues", aspect="auto", interpolation="nearest")
    low, high = drawn.get_clim()
    for (row, column), words in told.items():
        dark = isfinite(means[row, column]) and high > low and (means[row, column] - low) / (high - low) > 0.6
        ax.text(
            column, row, words, ha="center", va="center", fontsize=7.5, linespacing=1.3,
            color="white" if dark else style.INK,
        )  # fmt: skip
    ax.set_xticks(range(len(across)), [text(found) for found in across])
    ax.set_yticks(range(len(down)), [text(found) for found in down])
    ax.grid(visible=False)
    ax.tick_params(length=0)
    fig.colorbar(drawn, ax=ax, label=axis(metric, 1.0)[0])


def _told(metric: str, found: Interval, n_used: int, n_runs: int) -> str:
    mean, low, high = found
    gone = f", {n_runs - n_used} diverged" if n_used < n_runs else ""
    if not isfinite(mean):
        return f"{n_runs} diverged" if gone else "not run"
    interval = f"\n[{number(metric, low)}, {number(metric, high)}]" if isfinite(low) else ""
    return f"{number(metric, mean)}{interval}\nn = {n_used}{gone}"
