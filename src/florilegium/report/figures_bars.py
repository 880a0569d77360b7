"""Several metrics arm by arm, a panel each: what an arm reaches beside what it costs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.core.metrics import FRACTIONS
from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, members
from florilegium.report.measures import counted, value
from florilegium.report.study import Entry
from florilegium.report.tables import axis

DENSE = 12  # more arms than this stand closer together


def draw_bars(material: Material, figure: Planned) -> Figure:
    """Fractions as dots; all that can be said to be so many times another as bars from zero."""
    assert figure.chosen is not None
    entries = members(material.study, figure)
    metrics = figure.chosen.metrics or (entries[0].scoring.main,)
    fig = style.figure(0.9 + (0.5 if len(entries) <= DENSE else 0.34) * max(len(entries), 2))
    axes = fig.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        _panel(ax, material, entries, metric)
    width = 34 if len(metrics) < 3 else 24
    axes[0].set_yticks(
        [-i for i in range(len(entries))], [style.wrapped(material.label(e), width) for e in entries]
    )
    axes[0].set_ylim(-len(entries) + 0.4, 0.6)
    for ax in axes:
        ax.tick_params(axis="y", length=0)
    axes[0].plot([], [], "o", color=style.INK, label="mean, 95 % interval")
    if any(p.metric in metrics for e in entries for p in e.published):
        axes[0].fill_between([], [], color=style.BAND, label="published")
    style.legend(fig)
    style.frame(
        fig,
        material.study,
        figure.question,
        f"{material.not_alike([e for e in entries if any(p.metric in metrics for p in e.published)])}"
        f"Small dots: single runs ({material.n_seeds(entries)}); bars and large dots: their mean, with the "
        f"{style.INTERVAL}. × : as a multiple of {material.label(entries[0])}. Times and memory are those of the hardware "
        "that the table of costs names.",
    )
    return fig


def _panel(ax: Axes, material: Material, entries: Sequence[Entry], metric: str) -> None:
    summaries = [material.summary(metric, entry) for entry in entries]
    label, scale = axis(metric, float(np.nanmax([0.0, *(mean for mean, _, _ in summaries)])))
    ax.set_xlabel(label)
    ax.grid(axis="y", visible=False)
    for row, (entry, found) in enumerate(zip(entries, summaries, strict=True)):
        _published(ax, entry, metric, -row, scale)
        mean, low, high = (scale * v for v in found)
        if not np.isfinite(mean):
            ax.annotate(
                "not run", (0, -row), xycoords=("axes fraction", "data"), va="center", color=style.SOFT
            )
            continue
        if metric not in FRACTIONS:
            ax.barh(-row, mean, height=0.5, color=style.PALETTE[5], alpha=0.55)
        ax.plot([low, high], [-row, -row], color=style.PALETTE[0], linewidth=2.4, zorder=3)
        ax.plot(mean, -row, "o", markersize=6.5, color=style.PALETTE[0], markeredgecolor="white", zorder=4)
        single = [scale * value(run, metric) for run in counted(metric, material.runs[entry.key])]
        ax.plot(single, [-row + 0.27] * len(single), "o", markersize=3, alpha=0.5, color=style.PALETTE[0])
        end = max(mean, high) if np.isfinite(high) else mean
        ax.annotate(
            _said(metric, mean, scale * summaries[0][0]), (end, -row), xytext=(7, 0), textcoords="offset points",
            va="center", fontsize=8, color=style.SOFT,
        )  # fmt: skip
    _make_room(ax, metric, scale * float(np.nanmax([0.0, *(mean for mean, _, _ in summaries)])))


def _make_room(ax: Axes, metric: str, largest: float) -> None:
    """For what is said at the ends; a bar begins at zero."""
    low, high = ax.get_xlim()
    if metric in FRACTIONS:
        ax.set_xlim(low, high + 0.2 * (high - low))
    elif largest > 0:
        ax.set_xlim(0, max(1.5 * largest, high))


def _said(metric: str, mean: float, first: float) -> str:
    """The mean in figures, and what it is of the first arm's where that is a ratio of amounts."""
    if metric in FRACTIONS:
        return f"{mean:.1f}"
    return f"{mean:.3g} ({mean / first:.2f}×)" if np.isfinite(first) and first > 0 else f"{mean:.3g}"


def _published(ax: Axes, entry: Entry, metric: str, y: float, scale: float) -> None:
    for figure in entry.published:
        if figure.metric == metric:
            low, high = scale * figure.low, scale * figure.high
            ax.fill_betweenx([y - 0.36, y + 0.36], low, high, color=style.BAND, zorder=1)
            ax.plot(
                [(low + high) / 2] * 2,
                [y - 0.36, y + 0.36],
                color=style.BAND,
                linewidth=3,
                solid_capstyle="butt",
                zorder=1,
            )
