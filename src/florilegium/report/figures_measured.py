"""One metric against another, both measured: accuracy against what it costs, an arm a point."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.core.metrics import CLOCKED, WORDS
from florilegium.figures import style
from florilegium.figures.arms import WIDE, lines_of
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, members
from florilegium.report.measures import counted, value
from florilegium.report.study import Entry
from florilegium.report.tables import axis


def draw_measured(material: Material, figure: Planned) -> Figure:
    """One panel a metric; the arms of one value of `by` are joined, in the order of the study."""
    assert figure.chosen is not None and figure.chosen.x is not None
    entries, x = members(material.study, figure), figure.chosen.x
    metrics = figure.chosen.metrics or (entries[0].scoring.main,)
    n_rows = ceil(len(metrics) / 2)
    fig = style.figure(0.4 + 3.8 * n_rows)
    axes = fig.subplots(n_rows, min(len(metrics), 2), squeeze=False)
    for ax in axes.flat[len(metrics) :]:
        ax.set_visible(False)
    lines = lines_of(entries, figure.chosen.by)
    for ax, metric in zip(axes.flat, metrics, strict=False):
        _panel(ax, material, list(lines.values()), x, metric)
    for index, name in enumerate(lines):
        if name:
            axes.flat[0].plot([], [], color=style.colour(index), linewidth=2, label=name)
    axes.flat[0].plot([], [], "o", color=style.INK, label="mean, 95 % interval")
    style.legend(fig, columns=3)
    clock = (
        " Times and memory are those of the hardware that the table of costs names." if x in CLOCKED else ""
    )
    style.frame(
        fig,
        material.study,
        figure.question,
        f"Small dots: single runs ({material.n_seeds(entries)}, {material.n_tests(entries)}); large: mean; bars: "
        f"{style.INTERVAL}, of both.{clock}",
    )
    return fig


def _panel(ax: Axes, material: Material, lines: Sequence[Sequence[Entry]], x: str, y: str) -> None:
    every = [entry for line in lines for entry in line]
    summaries = {e.key: [material.summary(metric, e) for metric in (x, y)] for e in every}
    largest = (
        max([0.0, *(found[side][0] for found in summaries.values() if found[side][0] > 0)]) for side in (0, 1)
    )
    (x_label, x_scale), (y_label, y_scale) = map(axis, (x, y), largest)
    for index, line in enumerate(lines):
        look: dict[str, Any] = {"color": style.colour(index)}
        means = []
        for entry in line:
            across, up = (
                np.multiply(found, scale)
                for found, scale in zip(summaries[entry.key], (x_scale, y_scale), strict=True)
            )
            if not np.isfinite([across[0], up[0]]).all():
                continue
            runs = counted(y, material.runs[entry.key])
            single = [(x_scale * value(run, x), y_scale * value(run, y)) for run in runs]
            ax.plot(*np.array(single).T, "o", markersize=4, alpha=0.45, **look)
            ax.plot([across[0]] * 2, up[1:], linewidth=2.2, **look)
            ax.plot(across[1:], [up[0]] * 2, linewidth=2.2, **look)
            ax.plot(across[0], up[0], "o", markersize=8, markeredgecolor="white", zorder=4, **look)
            ax.annotate(
                style.wrapped(material.label(entry), 26), (across[0], up[0]), xytext=(7, 6),
                textcoords="offset points", fontsize=8, color=style.SOFT,
            )  # fmt: skip
            means.append((across[0], up[0]))
        ax.plot(*np.array(means).reshape(-1, 2).T, linewidth=1.2, linestyle=style.dashes(index), **look)
    if not ax.has_data():
        style.nothing(ax, f"{WORDS[y]}: no finished run")
        return
    places = [scale for found in summaries.values() if np.isfinite(scale := found[0][0]) and scale > 0]
    if places and max(places) / min(places) > WIDE:
        ax.set_xscale("log")
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.margins(x=0.16, y=0.12)
