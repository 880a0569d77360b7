"""Figures that a study file asks for: metrics over values of the arms, over other metrics, arm by arm, and seed by seed."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, isnan, log10
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from florilegium.config.figures import PlotChoice
from florilegium.config.metrics import CLOCKED, DIVERGENCE, FRACTIONS, WORDS
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, members
from florilegium.figures.style import Drawing
from florilegium.report.comparison import difference_row
from florilegium.report.runs import counted, value
from florilegium.report.statistics import Interval, one_more, student
from florilegium.report.study import SHARE, Entry, Key
from florilegium.report.tables import axis, equals, number, p_value

WIDE = 30  # a value that spans more than this factor stands on a logarithmic scale
TICKS = 10
DENSE = 12  # more arms than this stand closer together
NAMES = {
    SHARE: "generated images to each real one",
    "recipe.lr": "learning rate",
    "recipe.freeze_blocks": "frozen blocks",
    "recipe.focal_alpha": "focal loss: α",
    "recipe.focal_gamma": "focal loss: γ",
}


def draw_against(material: Material, plot: Plot) -> Drawing:
    """Metrics over a value of the arms: a panel a metric, a line for each value of `by` and each official split."""
    choice, entries, metrics = _asked(material, plot)
    lines = lines_of(entries, choice.by)
    places, names = _places(entries, choice.x or "")
    fig, axes = marks.panels(len(metrics), 3.4)
    step = 0.022 * min(len(metrics), 2) * _span(places)  # lines stand side by side
    aside = {
        entry.key: places[entry.key] + (index - (len(lines) - 1) / 2) * step
        for index, line in enumerate(lines.values())
        for entry in line
    }
    for ax, metric in zip(axes, metrics, strict=True):
        label, scale = _axis(material, entries, metric)
        for index, line in enumerate(lines.values()):
            start = start_of(line, lines.values(), places)
            _line(ax, material, line, metric, aside, scale, index, start)
        if ax.has_data():
            ax.set_ylabel(label)
            _ticks(ax, names, choice.x or "")
        else:
            style.nothing(ax, f"{WORDS[metric]}: no finished run")
    _name_lines(axes[0], lines)
    marks.key(axes[0], has_band=bool(_published(entries, metrics)))
    style.legend(fig, columns=3)
    return fig, (
        f"{material.not_alike(_published(entries, metrics))}"
        f"Small dots: single runs ({material.n_seeds(entries)}, {material.n_tests(entries)}); large: mean; bars: "
        f"{style.INTERVAL}."
    )


def _asked(material: Material, plot: Plot) -> tuple[PlotChoice, list[Entry], tuple[str, ...]]:
    """What the study file says of a figure, its arms, and its metrics: the main one where it names none."""
    assert plot.choice is not None
    entries = members(material.study, plot)
    return plot.choice, entries, plot.choice.metrics or (entries[0].scoring.main,)


def _published(entries: Sequence[Entry], metrics: Sequence[str]) -> list[Entry]:
    """The arms that some of these metrics were published of."""
    return [e for e in entries if any(claim.metric in metrics for claim in e.published)]


def value_of(entry: Entry, path: str) -> Any:
    """The name of an arm or of its experiment, or a value that it is specified by."""
    return {"experiment": entry.experiment, "arm": entry.arm}.get(path, entry.values.get(path))


def text(value: Any) -> str:
    """Such a value, for people."""
    if value is None:
        return "default"
    if isinstance(value, list):
        return ", ".join(map(text, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def name_of(path: str) -> str:
    """What a value of the arms is, for people."""
    return NAMES.get(path, path.split(".")[-1].replace("_", " "))


def _is_numeric(values: Iterable[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def lines_of(entries: Sequence[Entry], by: str | None) -> dict[str, list[Entry]]:
    """The arms of each line, by the line's name; an experiment on each official split has a line a split."""
    lines: dict[str, list[Entry]] = {}
    for entry in entries:
        parts = [f"{by.split('.')[-1].replace('_', ' ')} {text(value_of(entry, by))}" if by and "." in by else ""]
        parts += [text(value_of(entry, by)) if by and "." not in by else ""]
        parts += [f"split {entry.split}" if entry.split is not None else ""]
        lines.setdefault(", ".join(filter(None, parts)), []).append(entry)
    return lines


def start_of(line: Sequence[Entry], lines: Iterable[Sequence[Entry]], places: Mapping[Key, float]) -> Entry | None:
    """The first point of a line though it is none of its arms: their common baseline, a line of its own and left of them."""
    keys = {entry.key for entry in line}
    for other in lines:
        only = other[0]
        if len(other) == 1 and only.key not in keys and all(e.baseline_key == only.key for e in line):
            return only if places[only.key] < min(places[key] for key in keys) else None
    return None


def _places(entries: Sequence[Entry], x: str) -> tuple[dict[Key, float], dict[float, str]]:
    """Where each arm stands, and what is written at each place: numbers to scale, other values in order."""
    values = {entry.key: value_of(entry, x) for entry in entries}
    if not _is_numeric(values.values()):
        texts = {key: text(value) for key, value in values.items()}
        order = list(dict.fromkeys(texts.values()))
        return {key: float(order.index(text)) for key, text in texts.items()}, dict(enumerate(order))
    low, high = min(values.values()), max(values.values())
    is_log = low > 0 and high / low > WIDE
    places = {key: log10(value) if is_log else float(value) for key, value in values.items()}
    return places, {places[key]: text(value) for key, value in values.items()}


def _span(places: Mapping[Key, float]) -> float:
    return (max(places.values()) - min(places.values())) or 1.0


def _line(
    ax: Axes,
    material: Material,
    entries: Sequence[Entry],
    metric: str,
    places: Mapping[Key, float],
    scale: float,
    index: int,
    start: Entry | None,
) -> None:
    """The arms of one line, from `start` on; each has its mean at its place, and its single runs a little beside it."""
    colour, means = style.colour(index), []
    if start:
        means.append((places[start.key], scale * material.summary(metric, start)[0]))
    for entry in sorted(entries, key=lambda entry: places[entry.key]):
        x = places[entry.key]
        _bands(ax, entry, metric, x, 0.035 * _span(places), scale, upright=True)
        mean, low, high = (scale * v for v in material.summary(metric, entry))
        if not isfinite(mean):
            continue
        if metric != DIVERGENCE:  # of which a single run is one or none
            values = _single(material, entry, metric, scale)
            marks.dots(ax, values, x + 0.012 * _span(places), colour, upright=True)
        marks.estimate(ax, (mean, low, high), x, colour, upright=True)
        means.append((x, mean))
    _join(ax, means, index)


def _single(material: Material, entry: Entry, metric: str, scale: float) -> list[float]:
    """A metric of each run of an arm."""
    return [scale * value(run, metric) for run in counted(metric, material.runs[entry.key])]


def _join(ax: Axes, means: Sequence[tuple[float, float]], index: int) -> None:
    if means:
        x, y = zip(*means, strict=True)
        ax.plot(x, y, color=style.colour(index), linestyle=style.dashes(index), linewidth=1.2)


def _bands(ax: Axes, entry: Entry, metric: str, at: float, half: float, scale: float, *, upright: bool) -> None:
    """What was published of a metric of an arm."""
    for claim in entry.published:
        if claim.metric == metric:
            marks.band(ax, scale * claim.low, scale * claim.high, at, half, upright=upright)


def _axis(material: Material, entries: Sequence[Entry], metric: str) -> tuple[str, float]:
    """The label and scale that all panels of a metric share."""
    means = [material.summary(metric, e)[0] for e in entries]
    return axis(metric, float(np.nanmax([0.0, *means])))


def _ticks(ax: Axes, names: Mapping[float, str], x: str) -> None:
    ax.set_xlabel(name_of(x))
    ax.margins(x=0.12)
    if len(names) <= TICKS:
        crowded = max(map(len, names.values())) * len(names) > 60
        ax.set_xticks(sorted(names), [names[at] for at in sorted(names)], rotation=30 if crowded else 0)


def _name_lines(ax: Axes, lines: Iterable[str]) -> None:
    for index, name in enumerate(lines):
        if name:
            look: dict[str, Any] = {"color": style.colour(index), "linestyle": style.dashes(index)}
            ax.plot([], [], linewidth=2, label=style.wrapped(name, 40), **look)


def draw_measured(material: Material, plot: Plot) -> Drawing:
    """One metric over another, both measured: a panel a metric, the arms of one value of `by` joined in their order."""
    choice, entries, metrics = _asked(material, plot)
    fig, axes = marks.panels(len(metrics), 3.8)
    lines = lines_of(entries, choice.by)
    for ax, metric in zip(axes, metrics, strict=True):
        _measured(ax, material, list(lines.values()), choice.x or "", metric)
    _name_lines(axes[0], lines)
    marks.key(axes[0], has_band=False)
    style.legend(fig, columns=3)
    is_clocked = choice.x in CLOCKED
    clock = " Times and memory are those of the hardware that the table of costs names." if is_clocked else ""
    return fig, (
        f"Small dots: single runs ({material.n_seeds(entries)}, {material.n_tests(entries)}); large: mean; bars: "
        f"{style.INTERVAL}, of both.{clock}"
    )


def _measured(ax: Axes, material: Material, lines: Sequence[Sequence[Entry]], x: str, y: str) -> None:
    every = [entry for line in lines for entry in line]
    (x_label, x_scale), (y_label, y_scale) = _axis(material, every, x), _axis(material, every, y)
    for index, line in enumerate(lines):
        colour, means = style.colour(index), []
        for entry in line:
            across, left, right = (x_scale * v for v in material.summary(x, entry))
            up, low, high = (y_scale * v for v in material.summary(y, entry))
            if not (isfinite(across) and isfinite(up)):
                continue
            for run in counted(y, material.runs[entry.key]):
                marks.dots(ax, [x_scale * value(run, x)], y_scale * value(run, y), colour)
            marks.interval(ax, (left, right), up, colour, width=2.2)
            marks.estimate(ax, (up, low, high), across, colour, upright=True, width=2.2)
            ax.annotate(
                style.wrapped(material.label(entry), 26), (across, up), xytext=(7, 6),
                textcoords="offset points", fontsize=8, color=style.SOFT,
            )  # fmt: skip
            means.append((across, up))
        _join(ax, means, index)
    if not ax.has_data():
        style.nothing(ax, f"{WORDS[y]}: no finished run")
        return
    places = [mean for e in every if isfinite(mean := material.summary(x, e)[0]) and mean > 0]
    if places and max(places) / min(places) > WIDE:
        ax.set_xscale("log")
    ax.set(xlabel=x_label, ylabel=y_label)
    ax.margins(x=0.16, y=0.12)


def draw_bars(material: Material, plot: Plot) -> Drawing:
    """Metrics arm by arm: fractions as dots; all that can be said to be so many times another as bars from zero."""
    _, entries, metrics = _asked(material, plot)
    fig = style.figure(0.9 + (0.5 if len(entries) <= DENSE else 0.34) * max(len(entries), 2))
    axes = fig.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        _bars(ax, material, entries, metric)
        marks.without_rules(ax)
    width = 34 if len(metrics) < 3 else 24
    marks.rows(axes[0], [style.wrapped(material.label(e), width) for e in entries])
    marks.key(axes[0], has_band=bool(_published(entries, metrics)))
    style.legend(fig)
    return fig, (
        f"{material.not_alike(_published(entries, metrics))}"
        f"Small dots: single runs ({material.n_seeds(entries)}); bars and large dots: their mean, with the "
        f"{style.INTERVAL}. × : as a multiple of {material.label(entries[0])}. Times and memory are those of the hardware "
        "that the table of costs names."
    )


def _bars(ax: Axes, material: Material, entries: Sequence[Entry], metric: str) -> None:
    label, scale = _axis(material, entries, metric)
    summaries = [[scale * v for v in material.summary(metric, entry)] for entry in entries]
    ax.set_xlabel(label)
    for row, (entry, (mean, low, high)) in enumerate(zip(entries, summaries, strict=True)):
        _bands(ax, entry, metric, -row, 0.36, scale, upright=False)
        if not isfinite(mean):
            marks.remark(ax, "not run", (0, -row), gap=0, at_edge=True, fontsize=9.5)
            continue
        if metric not in FRACTIONS:
            ax.barh(-row, mean, height=0.5, color=style.PALETTE[5], alpha=0.55)
        marks.estimate(ax, (mean, low, high), -row, style.PALETTE[0], width=2.4, size=6.5)
        values = _single(material, entry, metric, scale)
        marks.dots(ax, values, -row + 0.27, style.PALETTE[0], size=3, alpha=0.5)
        end = max(mean, high) if isfinite(high) else mean
        marks.remark(ax, _amount(metric, mean, summaries[0][0]), (end, -row), gap=7)
    _make_room(ax, metric, float(np.nanmax([0.0, *(mean for mean, _, _ in summaries)])))


def _make_room(ax: Axes, metric: str, largest: float) -> None:
    """For the remarks at the ends; a bar begins at zero."""
    low, high = ax.get_xlim()
    if metric in FRACTIONS:
        ax.set_xlim(low, high + 0.2 * (high - low))
    elif largest > 0:
        ax.set_xlim(0, max(1.5 * largest, high))


def _amount(metric: str, mean: float, first: float) -> str:
    """The mean as a number, and as a multiple of the first arm's where that is a ratio of amounts."""
    if metric in FRACTIONS:
        return f"{mean:.1f}"
    return f"{mean:.3g} ({mean / first:.2f}×)" if isfinite(first) and first > 0 else f"{mean:.3g}"


def draw_heatmap(material: Material, plot: Plot) -> Drawing:
    """A metric over two values of the arms, a panel a metric; each cell has its mean, interval and number of seeds."""
    choice, entries, metrics = _asked(material, plot)
    x, by = choice.x or "", choice.by or ""
    across, down = _order(entries, x), _order(entries, by)
    fig, axes = marks.panels(len(metrics), 0.9 + 0.62 * len(down), 0.6)
    places = {e.key: (down.index(value_of(e, by)), across.index(value_of(e, x))) for e in entries}
    for ax, metric in zip(axes, metrics, strict=True):
        label, scale = axis(metric, 1.0)
        means = np.full((len(down), len(across)), np.nan)
        cells = {}
        for entry in entries:
            place = places[entry.key]
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
        f"Means over seeds ({material.n_seeds(entries)}, {material.n_tests(entries)}) with the 95 % interval below, and how many "
        "runs stand behind a cell. Runs that diverged are left out and counted."
    )


def _order(entries: Sequence[Entry], path: str) -> list[Any]:
    """The values in rising order where they are numbers, else as the study has them."""
    values = list(dict.fromkeys(value_of(entry, path) for entry in entries))
    return sorted(values) if _is_numeric(values) else values


def _cell(metric: str, summary: Interval, n_used: int, n_runs: int) -> str:
    mean, low, high = summary
    gone = f", {n_runs - n_used} diverged" if n_used < n_runs else ""
    if not isfinite(mean):
        return f"{n_runs} diverged" if gone else "not run"
    interval = f"\n[{number(metric, low)}, {number(metric, high)}]" if isfinite(low) else ""
    return f"{number(metric, mean)}{interval}\nn = {n_used}{gone}"


def draw_seeds(material: Material, plot: Plot) -> Drawing:
    """Seeds that people take for lucky beside seeds drawn at random: a panel a metric, a row for each marked seed."""
    choice, entries, metrics = _asked(material, plot)
    runs = {run.seed: run for entry in entries for run in material.finished(entry)}
    fig = style.figure((1.0 + 0.42 * (1 + len(choice.marked))) * len(metrics))
    axes = fig.subplots(len(metrics), 1, squeeze=False)[:, 0]
    n_others = len(set(runs) - set(choice.marked))
    for ax, metric in zip(axes, metrics, strict=True):
        values = {seed: value(run, metric) for seed, run in sorted(runs.items())}
        tests = _tests(material, entries) if metric == entries[0].scoring.main else {}
        _seeds(ax, {seed: v for seed, v in values.items() if not isnan(v)}, choice.marked, metric, tests)
    axes[0].plot([], [], "o", color=style.PALETTE[0], label="one seed")
    axes[0].plot([], [], "D", color=style.WRONG, label="a marked seed")
    axes[0].plot([], [], color=style.INK, linewidth=2.4, label="mean of the others, 95 % interval")
    axes[0].fill_between([], [], color=style.BAND, label="where 95 % of further seeds fall")
    style.legend(fig, columns=2)
    return fig, (
        f"A marked seed is one more draw beside the {n_others} others ({material.n_tests(entries)}). p is that of the table of differences, "
        f"adjusted for the study's {len(material.differences)} tests. Rank 1 is the largest of it and the others."
    )


def _tests(material: Material, entries: Sequence[Entry]) -> dict[int, Any]:
    """The test of each seed that an arm has to itself, by seed."""
    lone = {e.key: [run.seed for run in material.finished(e)] for e in entries}
    rows = {lone[e.key][0]: difference_row(material.differences, e) for e in entries if len(lone[e.key]) == 1}
    return {seed: row for seed, row in rows.items() if row is not None}


def _seeds(ax: Axes, values: Mapping[int, float], marked: Sequence[int], metric: str, tests: Mapping[int, Any]) -> None:
    label, scale = axis(metric, 1.0)
    others = [scale * v for seed, v in values.items() if seed not in marked]
    if len(others) > 1:
        low, high, _ = one_more(others, others[0])
        if metric in FRACTIONS:
            low, high = max(0.0, low), min(scale, high)
        if isfinite(low):
            ax.axvspan(low, high, color=style.BAND, alpha=0.55, zorder=0)
        mean, *ends = student(others, *((0.0, scale) if metric in FRACTIONS else ()))
        marks.interval(ax, ends, -0.2, style.INK, width=2.4)
        ax.plot(mean, -0.2, "|", color=style.INK, markersize=11, markeredgewidth=2)
    marks.dots(ax, others, 0.12, style.PALETTE[0], size=7, alpha=0.6)
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
