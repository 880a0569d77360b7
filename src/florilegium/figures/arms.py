"""Figures that a study file asks for: metrics arm by arm, cell by cell, seed by seed."""

from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from florilegium.config.metrics import FRACTIONS, WORDS
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.measure import Measure, asked, clock, is_numeric, name_of, text, value_of, with_published
from florilegium.figures.registry import Plot
from florilegium.figures.style import Drawing
from florilegium.report.comparison import difference_row
from florilegium.report.runs import counted, value
from florilegium.report.statistics import Interval, one_more, student
from florilegium.report.study import Entry
from florilegium.report.tables import axis, equals, number, p_value

DENSE = 12  # more arms than this stand closer together


# Bars


def draw_bars(material: Material, plot: Plot) -> Drawing:
    """Metrics arm by arm: fractions as dots, amounts as bars from zero."""
    _, entries, metrics = asked(material, plot)
    published = with_published(entries, metrics)
    fig = style.figure(0.9 + (0.5 if len(entries) <= DENSE else 0.34) * max(len(entries), 2))
    axes = fig.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        _bars(ax, Measure.of(material, entries, metric), entries)
        marks.without_rules(ax)
    width = 34 if len(metrics) < 3 else 24
    marks.rows(axes[0], [style.wrapped(material.label(e), width) for e in entries])
    marks.key(axes[0], has_band=bool(published))
    style.legend(fig)
    multiple = f" × : as a multiple of {material.label(entries[0])}." if set(metrics) - FRACTIONS else ""
    return fig, (
        f"{material.not_alike(published)}Small dots: single runs ({material.n_seeds(entries)}); bars and large dots: "
        f"their mean, with the {style.INTERVAL}.{multiple}{clock(metrics)}"
    )


def _bars(ax: Axes, measure: Measure, entries: Sequence[Entry]) -> None:
    summaries = [measure.summary(entry) for entry in entries]
    is_fraction = measure.metric in FRACTIONS
    ax.set_xlabel(measure.label)
    for row, (entry, (mean, low, high)) in enumerate(zip(entries, summaries, strict=True)):
        measure.add_bands(ax, entry, -row, 0.36, upright=False)
        if not isfinite(mean):
            marks.remark(ax, "not run", (0, -row), gap=0, at_edge=True, fontsize=9.5)
            continue
        if not is_fraction:
            ax.barh(-row, mean, height=0.5, color=style.PALETTE[5], alpha=0.55)
        marks.estimate(ax, (mean, low, high), -row, style.PALETTE[0], width=2.4, markersize=6.5)
        marks.dots(ax, measure.runs(entry), -row + 0.27, style.PALETTE[0], markersize=3, alpha=0.5)
        end = max(mean, high) if isfinite(high) else mean
        first = summaries[0][0]
        multiple = f" ({mean / first:.2f}×)" if isfinite(first) and first > 0 else ""
        marks.remark(ax, f"{mean:.1f}" if is_fraction else f"{mean:.3g}{multiple}", (end, -row), gap=7)
    # Room for the amounts; a bar begins at zero.
    low, high = ax.get_xlim()
    largest = float(np.nanmax([0.0, *(mean for mean, _, _ in summaries)]))
    if is_fraction:
        ax.set_xlim(low, high + 0.2 * (high - low))
    elif largest > 0:
        ax.set_xlim(0, max(1.5 * largest, high))


# Cells


def draw_heatmap(material: Material, plot: Plot) -> Drawing:
    """A metric over two values of the arms, a panel a metric; each cell has its mean, interval and number of seeds."""
    choice, entries, metrics = asked(material, plot)
    x, by = choice.x or "", choice.by or ""
    across, down = _order(entries, x), _order(entries, by)
    fig, axes = marks.panels(len(metrics), 0.9 + 0.62 * len(down), 0.6)
    for ax, metric in zip(axes, metrics, strict=True):
        label, scale = axis(metric, 1.0)
        means = np.full((len(down), len(across)), np.nan)
        cells = {}
        for entry in entries:
            place = down.index(value_of(entry, by)), across.index(value_of(entry, x))
            summary, runs = material.summary(metric, entry), material.runs[entry.key]
            means[place] = scale * summary[0]
            cells[place] = _cell(metric, summary, len(counted(metric, runs)), len(runs))
        if np.isfinite(means).any():
            marks.heatmap(fig, ax, means, cells, label=label)
            ax.set_xticks(range(len(across)), [text(v) for v in across])
            ax.set_yticks(range(len(down)), [text(v) for v in down])
        else:
            style.nothing(ax, f"{WORDS[metric]}: no finished run")
        ax.set(xlabel=name_of(x), ylabel=name_of(by))
    return fig, (
        f"Means over seeds ({material.n_runs(entries)}) with the 95 % interval below, and how many runs stand behind a "
        "cell. Runs that diverged are left out and counted."
    )


def _order(entries: Sequence[Entry], path: str) -> list[Any]:
    """The values in rising order where they are numbers, else as the study has them."""
    values = list(dict.fromkeys(value_of(entry, path) for entry in entries))
    return sorted(values) if is_numeric(values) else values


def _cell(metric: str, summary: Interval, n_used: int, n_runs: int) -> str:
    mean, low, high = summary
    gone = f", {n_runs - n_used} diverged" if n_used < n_runs else ""
    if not isfinite(mean):
        return f"{n_runs} diverged" if gone else "not run"
    interval = f"\n[{number(metric, low)}, {number(metric, high)}]" if isfinite(low) else ""
    return f"{number(metric, mean)}{interval}\nn = {n_used}{gone}"


# Seeds


def draw_seeds(material: Material, plot: Plot) -> Drawing:
    """Seeds that people take for lucky beside seeds drawn at random: a panel a metric, a row for each marked seed."""
    choice, entries, metrics = asked(material, plot)
    runs = {run.seed: run for entry in entries for run in material.finished(entry)}
    fig = style.figure((1.0 + 0.42 * (1 + len(choice.marked))) * len(metrics))
    axes = fig.subplots(len(metrics), 1, squeeze=False)[:, 0]
    n_others = len(set(runs) - set(choice.marked))
    for ax, metric in zip(axes, metrics, strict=True):
        values = {seed: v for seed, run in sorted(runs.items()) if not isnan(v := value(run, metric))}
        tests = _tests(material, entries) if metric == entries[0].scoring.main else {}
        _seeds(ax, values, choice.marked, metric, tests)
    axes[0].plot([], [], "o", color=style.PALETTE[0], label="one seed")
    axes[0].plot([], [], "D", color=style.WRONG, label="a marked seed")
    axes[0].plot([], [], color=style.INK, linewidth=2.4, label="mean of the others, 95 % interval")
    axes[0].fill_between([], [], color=style.BAND, label="where 95 % of further seeds fall")
    style.legend(fig, columns=2)
    return fig, (
        f"A marked seed is one more draw beside the {n_others} others ({material.n_tests(entries)}). p is that of the "
        f"table of differences, adjusted for the study's {len(material.differences)} tests. Rank 1 is the largest of "
        "it and the others."
    )


def _tests(material: Material, entries: Sequence[Entry]) -> dict[int, Any]:
    """The test of each seed that an arm has to itself, by seed."""
    lone = {runs[0].seed: entry for entry in entries if len(runs := material.finished(entry)) == 1}
    rows = {seed: difference_row(material.differences, entry) for seed, entry in lone.items()}
    return {seed: row for seed, row in rows.items() if row is not None}


def _seeds(ax: Axes, values: Mapping[int, float], marked: Sequence[int], metric: str, tests: Mapping[int, Any]) -> None:
    label, scale = axis(metric, 1.0)
    bounds = (0.0, scale) if metric in FRACTIONS else ()
    others = [scale * v for seed, v in values.items() if seed not in marked]
    if len(others) > 1:
        low, high, _ = one_more(others, others[0])
        if bounds:
            low, high = max(0.0, low), min(scale, high)
        if isfinite(low):
            ax.axvspan(low, high, color=style.BAND, alpha=0.55, zorder=0)
        mean, *ends = student(others, *bounds)
        marks.interval(ax, ends, -0.2, style.INK, width=2.4)
        ax.plot(mean, -0.2, "|", color=style.INK, markersize=11, markeredgewidth=2)
    marks.dots(ax, others, 0.12, style.PALETTE[0], markersize=7, alpha=0.6)
    for row, seed in enumerate(marked, 1):
        if seed in values:
            ax.plot(scale * values[seed], -row, "D", markersize=7, color=style.WRONG)
        ranked = _ranked(scale * values.get(seed, np.nan), others, tests.get(seed))
        marks.remark(ax, ranked, (1, -row), gap=8, at_edge=True, fontsize=8.5)
    names = [f"{len(others)} other {'seed' if len(others) == 1 else 'seeds'}", *(f"seed {s}" for s in marked)]
    marks.rows(ax, names)
    ax.set_ylim(-len(names) + 0.5, 0.6)
    ax.set_xlabel(label)
    ax.margins(x=0.08)


def _ranked(value: float, others: Sequence[float], test: Any | None) -> str:
    if isnan(value):
        return "not run, or diverged"
    rank = 1 + sum(other > value for other in others)
    ranked = f"{value:.1f}, rank {rank} of {len(others) + 1}"
    return f"{ranked}, p {equals(p_value(test.p_adjusted))}" if test else ranked
