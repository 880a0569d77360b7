"""Seeds that people take for lucky, held against seeds that were drawn at random."""

from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.core.metrics import FRACTIONS
from florilegium.report import style
from florilegium.report.catalogue import Planned, members
from florilegium.report.material import Material
from florilegium.report.measures import value
from florilegium.report.statistics import one_more, t_interval
from florilegium.report.tables import axis, equals, p_value


def draw_seeds(material: Material, figure: Planned) -> Figure:
    """One panel a metric: all other seeds of the arms above, each marked one on a line of its own."""
    assert figure.chosen is not None
    entries = members(material.study, figure)
    runs = {run.seed: run for entry in entries for run in material.finished(entry)}
    metrics = figure.chosen.metrics or (entries[0].scoring.main,)
    marked = figure.chosen.marked
    fig = style.figure((1.0 + 0.42 * (1 + len(marked))) * len(metrics))
    axes = fig.subplots(len(metrics), 1, squeeze=False)[:, 0]
    n_others = len(set(runs) - set(marked))
    for ax, metric in zip(axes, metrics, strict=True):
        values = {seed: value(run, metric) for seed, run in sorted(runs.items())}
        _panel(ax, {seed: v for seed, v in values.items() if not isnan(v)}, marked, metric)
    axes[0].plot([], [], "o", color=style.PALETTE[0], label="one seed")
    axes[0].plot([], [], "D", color=style.WRONG, label="a marked seed")
    axes[0].plot([], [], color=style.INK, linewidth=2.4, label="mean of the others, 95 % interval")
    axes[0].fill_between([], [], color=style.BAND, label="where 95 % of further seeds fall")
    style.legend(fig, columns=2)
    style.frame(
        fig,
        material.study,
        figure.question,
        f"A marked seed is one more draw: it is held against the {n_others} others by Student's t for a single further value, which "
        f"takes them for normal ({material.n_tests(entries)}; two-sided p, not corrected for the number of marked seeds). Rank 1 "
        "is the largest of it and the others.",
    )
    return fig


def _panel(ax: Axes, values: Mapping[int, float], marked: Sequence[int], metric: str) -> None:
    label, scale = axis(metric, 1.0)
    others = [scale * v for seed, v in values.items() if seed not in marked]
    if len(others) > 1:
        low, high, _ = one_more(others, others[0])
        if metric in FRACTIONS:
            low, high = max(0.0, low), min(scale, high)
        ax.axvspan(low, high, color=style.BAND, alpha=0.55, zorder=0)
        mean, low, high = t_interval(others)
        ax.plot([low, high], [-0.2] * 2, color=style.INK, linewidth=2.4)
        ax.plot(mean, -0.2, "|", color=style.INK, markersize=11, markeredgewidth=2)
    ax.plot(others, [0.12] * len(others), "o", markersize=7, alpha=0.6, color=style.PALETTE[0])
    for row, seed in enumerate(marked, 1):
        if seed in values:
            ax.plot(scale * values[seed], -row, "D", markersize=7, color=style.WRONG)
        ax.annotate(
            _told(scale * values.get(seed, np.nan), others), (1, -row), xycoords=("axes fraction", "data"),
            xytext=(8, 0), textcoords="offset points", va="center", fontsize=8.5, color=style.SOFT,
        )  # fmt: skip
    names = [f"{len(others)} other {'seed' if len(others) == 1 else 'seeds'}", *(f"seed {s}" for s in marked)]
    ax.set_yticks([-row for row in range(len(names))], names)
    ax.set_ylim(-len(names) + 0.5, 0.6)
    ax.set_xlabel(label)
    ax.margins(x=0.08)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)


def _told(value: float, others: Sequence[float]) -> str:
    if isnan(value):
        return "not run, or diverged"
    rank = 1 + sum(other > value for other in others)
    ranked = f"{value:.1f}, rank {rank} of {len(others) + 1}"
    if len(others) < 2:
        return ranked
    return f"{ranked}, p {equals(p_value(one_more(others, value)[2]))}"
