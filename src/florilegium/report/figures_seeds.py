"""Seeds that people take for lucky, held against seeds that were drawn at random."""

from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.core.metrics import FRACTIONS
from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, members
from florilegium.report.comparison import differences_of
from florilegium.report.measures import value
from florilegium.report.statistics import one_more, student
from florilegium.report.study import Entry
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
        tests = _tests(material, entries) if metric == entries[0].scoring.main else {}
        _panel(ax, {seed: v for seed, v in values.items() if not isnan(v)}, marked, metric, tests)
    axes[0].plot([], [], "o", color=style.PALETTE[0], label="one seed")
    axes[0].plot([], [], "D", color=style.WRONG, label="a marked seed")
    axes[0].plot([], [], color=style.INK, linewidth=2.4, label="mean of the others, 95 % interval")
    axes[0].fill_between([], [], color=style.BAND, label="where 95 % of further seeds fall")
    style.legend(fig, columns=2)
    style.frame(
        fig,
        material.study,
        figure.question,
        f"A marked seed is one more draw beside the {n_others} others ({material.n_tests(entries)}). p is that of the table of differences, "
        f"adjusted for the study's {len(material.differences)} tests. Rank 1 is the largest of it and the others.",
    )
    return fig


def _tests(material: Material, entries: Sequence[Entry]) -> dict[int, Any]:
    """The test of each seed that an arm has to itself, by seed."""
    lone = {e.key: [run.seed for run in material.finished(e)] for e in entries}
    rows = {lone[e.key][0]: differences_of(material.differences, e) for e in entries if len(lone[e.key]) == 1}
    return {seed: row for seed, row in rows.items() if row is not None}


def _panel(
    ax: Axes, values: Mapping[int, float], marked: Sequence[int], metric: str, tests: Mapping[int, Any]
) -> None:
    label, scale = axis(metric, 1.0)
    others = [scale * v for seed, v in values.items() if seed not in marked]
    if len(others) > 1:
        low, high, _ = one_more(others, others[0])
        if metric in FRACTIONS:
            low, high = max(0.0, low), min(scale, high)
        if isfinite(low):
            ax.axvspan(low, high, color=style.BAND, alpha=0.55, zorder=0)
        mean, low, high = student(others, *((0.0, scale) if metric in FRACTIONS else ()))
        ax.plot([low, high], [-0.2] * 2, color=style.INK, linewidth=2.4)
        ax.plot(mean, -0.2, "|", color=style.INK, markersize=11, markeredgewidth=2)
    ax.plot(others, [0.12] * len(others), "o", markersize=7, alpha=0.6, color=style.PALETTE[0])
    for row, seed in enumerate(marked, 1):
        if seed in values:
            ax.plot(scale * values[seed], -row, "D", markersize=7, color=style.WRONG)
        ax.annotate(
            _told(scale * values.get(seed, np.nan), others, tests.get(seed)), (1, -row), xycoords=("axes fraction", "data"),
            xytext=(8, 0), textcoords="offset points", va="center", fontsize=8.5, color=style.SOFT,
        )  # fmt: skip
    names = [f"{len(others)} other {'seed' if len(others) == 1 else 'seeds'}", *(f"seed {s}" for s in marked)]
    ax.set_yticks([-row for row in range(len(names))], names)
    ax.set_ylim(-len(names) + 0.5, 0.6)
    ax.set_xlabel(label)
    ax.margins(x=0.08)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)


def _told(value: float, others: Sequence[float], test: Any | None) -> str:
    if isnan(value):
        return "not run, or diverged"
    rank = 1 + sum(other > value for other in others)
    ranked = f"{value:.1f}, rank {rank} of {len(others) + 1}"
    return f"{ranked}, p {equals(p_value(test.p_adjusted))}" if test else ranked
