"""Figures that a study file asks for: metrics over values of the arms, over other metrics, arm by arm, seed by seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, log10
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.config.figures import PlotChoice
from florilegium.config.metrics import CLOCKED, DIVERGENCE, FRACTIONS, WORDS
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, members
from florilegium.figures.style import Drawing
from florilegium.report.comparison import difference_row
from florilegium.report.runs import counted, value
from florilegium.report.statistics import Interval, one_more, student
from florilegium.report.study import Entry, Key
from florilegium.report.tables import axis, equals, number, p_value

WIDE = 30  # a value that spans more than this factor stands on a logarithmic scale
TICKS = 10  # named places at most
DENSE = 12  # more arms than this stand closer together
NAMES = {
    "data.generated.share": "generated images to each real one",
    "recipe.lr": "learning rate",
    "recipe.freeze_blocks": "frozen blocks",
    "recipe.focal_alpha": "focal loss: α",
    "recipe.focal_gamma": "focal loss: γ",
}


@dataclass(frozen=True)
class Measure:
    """A metric in the units of an axis: `scale` times its values, under `label`."""

    material: Material
    metric: str
    label: str
    scale: float

    @classmethod
    def of(cls, material: Material, entries: Sequence[Entry], metric: str) -> "Measure":
        """In units that suit the largest mean of these arms."""
        means = [material.summary(metric, entry)[0] for entry in entries]
        return cls(material, metric, *axis(metric, float(np.nanmax([0.0, *means]))))

    def summary(self, entry: Entry) -> Interval:
        mean, low, high = self.material.summary(self.metric, entry)
        return self.scale * mean, self.scale * low, self.scale * high

    def runs(self, entry: Entry) -> list[float]:
        return [self.scale * value(run, self.metric) for run in counted(self.metric, self.material.runs[entry.key])]

    def add_bands(self, ax: Axes, entry: Entry, at: float, half: float, *, upright: bool) -> None:
        """Draw the published values of an arm."""
        for claim in entry.published:
            if claim.metric == self.metric:
                marks.band(ax, self.scale * claim.low, self.scale * claim.high, at, half, upright=upright)


def _asked(material: Material, plot: Plot) -> tuple[PlotChoice, list[Entry], tuple[str, ...]]:
    """The study file's entry of a figure, its arms, and its metrics: the main one where it names none."""
    assert plot.choice is not None
    entries = members(material.study, plot)
    return plot.choice, entries, plot.choice.metrics or (entries[0].scoring.main,)


def _published(entries: Sequence[Entry], metrics: Sequence[str]) -> list[Entry]:
    """The arms of which some of these metrics were published."""
    return [entry for entry in entries if any(claim.metric in metrics for claim in entry.published)]


# Values of arms


def value_of(entry: Entry, path: str) -> Any:
    """The name of an arm or of its experiment, or a value that it is specified by."""
    return {"experiment": entry.experiment, "arm": entry.arm}.get(path, entry.values.get(path))


def text(value: Any) -> str:
    """Such a value, for people."""
    if value is None:
        return "default"
    if isinstance(value, list):
        return ", ".join(map(text, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else style.title(str(value)).replace("_", " ")


def name_of(path: str) -> str:
    """The name of a value of the arms, for people."""
    return NAMES.get(path, path.split(".")[-1].replace("_", " "))


def _is_numeric(values: Iterable[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


# Lines


def draw_against(material: Material, plot: Plot) -> Drawing:
    """Metrics over a value of the arms: a panel a metric, a line for each value of `by` and each official split."""
    choice, entries, metrics = _asked(material, plot)
    x, published = choice.x or "", _published(entries, metrics)
    lines = lines_of(entries, choice.by)
    places, names = _places(entries, x)
    fig, axes = marks.panels(len(metrics), 3.4)
    step = 0.022 * min(len(metrics), 2) * (np.ptp([*places.values()]) or 1.0)  # lines stand side by side
    aside = {
        entry.key: places[entry.key] + (index - (len(lines) - 1) / 2) * step
        for index, line in enumerate(lines.values())
        for entry in line
    }
    for ax, metric in zip(axes, metrics, strict=True):
        measure = Measure.of(material, entries, metric)
        for index, line in enumerate(lines.values()):
            _line(ax, measure, line, aside, index, start_of(line, lines.values(), places))
        if not ax.has_data():
            style.nothing(ax, f"{WORDS[metric]}: no finished run")
            continue
        ax.set(xlabel=name_of(x), ylabel=measure.label)
        ax.margins(x=0.12)
        if len(names) <= TICKS:
            crowded = max(map(len, names.values())) * len(names) > 60
            ax.set_xticks(sorted(names), [names[at] for at in sorted(names)], rotation=30 if crowded else 0)
    _legend(fig, axes[0], lines, has_band=bool(published))
    return fig, f"{material.not_alike(published)}{material.reading(entries)}."


def lines_of(entries: Sequence[Entry], by: str | None) -> dict[str, list[Entry]]:
    """The arms of each line, by the line's name; an experiment on each official split has a line a split."""
    lines: dict[str, list[Entry]] = {}
    for entry in entries:
        name = text(value_of(entry, by)) if by else ""
        if by and "." in by:
            name = f"{by.split('.')[-1].replace('_', ' ')} {name}"
        split = f"split {entry.split}" if entry.split is not None else ""
        lines.setdefault(", ".join(filter(None, (name, split))), []).append(entry)
    return lines


def start_of(line: Sequence[Entry], lines: Iterable[Sequence[Entry]], places: Mapping[Key, float]) -> Entry | None:
    """The first point of a line though none of its arms: their common baseline, a line of its own and left of them."""
    keys = {entry.key for entry in line}
    for other in lines:
        only = other[0]
        if len(other) == 1 and only.key not in keys and all(e.baseline_key == only.key for e in line):
            return only if places[only.key] < min(places[key] for key in keys) else None
    return None


def _places(entries: Sequence[Entry], x: str) -> tuple[dict[Key, float], dict[float, str]]:
    """The place of each arm, and the text at each place: numbers to scale, other values in order."""
    values = {entry.key: value_of(entry, x) for entry in entries}
    if not _is_numeric(values.values()):
        texts = {key: text(value) for key, value in values.items()}
        order = list(dict.fromkeys(texts.values()))
        return {key: float(order.index(text)) for key, text in texts.items()}, dict(enumerate(order))
    low, high = min(values.values()), max(values.values())
    is_log = low > 0 and high / low > WIDE
    places = {key: log10(value) if is_log else float(value) for key, value in values.items()}
    return places, {places[key]: text(value) for key, value in values.items()}


def _line(
    ax: Axes, measure: Measure, entries: Sequence[Entry], places: Mapping[Key, float], index: int, start: Entry | None
) -> None:
    """The arms of one line, from `start` on; each has its mean at its place, and its single runs a little beside it."""
    colour, span = style.colour(index), np.ptp([*places.values()]) or 1.0
    means = [(places[start.key], measure.summary(start)[0])] if start else []
    for entry in sorted(entries, key=lambda entry: places[entry.key]):
        x = places[entry.key]
        measure.add_bands(ax, entry, x, 0.035 * span, upright=True)
        summary = measure.summary(entry)
        if isfinite(summary[0]):
            if measure.metric != DIVERGENCE:  # of which a single run is one or none
                marks.dots(ax, measure.runs(entry), x + 0.012 * span, colour, upright=True)
            marks.estimate(ax, summary, x, colour, upright=True)
            means.append((x, summary[0]))
    _join(ax, means, index)


def _join(ax: Axes, means: Sequence[tuple[float, float]], index: int) -> None:
    if means:
        ax.plot(*zip(*means, strict=True), linewidth=1.2, **style.line(index))


def _legend(fig: Figure, ax: Axes, lines: Iterable[str], *, has_band: bool) -> None:
    for index, name in enumerate(lines):
        if name:
            ax.plot([], [], linewidth=2, label=style.wrapped(name, 40), **style.line(index))
    marks.key(ax, has_band=has_band)
    style.legend(fig, columns=3)


def draw_measured(material: Material, plot: Plot) -> Drawing:
    """One metric over another, both measured: a panel a metric, the arms of one value of `by` joined in their order."""
    choice, entries, metrics = _asked(material, plot)
    fig, axes = marks.panels(len(metrics), 3.8)
    lines = lines_of(entries, choice.by)
    across = Measure.of(material, entries, choice.x or "")
    for ax, metric in zip(axes, metrics, strict=True):
        up = Measure.of(material, entries, metric)
        for index, line in enumerate(lines.values()):
            _scatter(ax, line, across, up, index)
        if not ax.has_data():
            style.nothing(ax, f"{WORDS[metric]}: no finished run")
            continue
        places = [mean for e in entries if isfinite(mean := material.summary(across.metric, e)[0]) and mean > 0]
        if places and max(places) / min(places) > WIDE:
            ax.set_xscale("log")
        ax.set(xlabel=across.label, ylabel=up.label)
        ax.margins(x=0.16, y=0.12)
    _legend(fig, axes[0], lines, has_band=False)
    is_clocked = choice.x in CLOCKED
    clock = " Times and memory are those of the hardware that the table of costs names." if is_clocked else ""
    return fig, f"{material.reading(entries)}, of both.{clock}"


def _scatter(ax: Axes, line: Sequence[Entry], across: Measure, up: Measure, index: int) -> None:
    colour, means = style.colour(index), []
    for entry in line:
        (x, left, right), (y, low, high) = across.summary(entry), up.summary(entry)
        if not (isfinite(x) and isfinite(y)):
            continue
        for run in counted(up.metric, up.material.runs[entry.key]):
            marks.dots(ax, [across.scale * value(run, across.metric)], up.scale * value(run, up.metric), colour)
        marks.interval(ax, (left, right), y, colour, width=2.2)
        marks.estimate(ax, (y, low, high), x, colour, upright=True, width=2.2)
        ax.annotate(
            style.wrapped(up.material.label(entry), 26), (x, y), xytext=(7, 6),
            textcoords="offset points", fontsize=8, color=style.SOFT,
        )  # fmt: skip
        means.append((x, y))
    _join(ax, means, index)


# Bars


def draw_bars(material: Material, plot: Plot) -> Drawing:
    """Metrics arm by arm: fractions as dots, amounts as bars from zero."""
    _, entries, metrics = _asked(material, plot)
    published = _published(entries, metrics)
    fig = style.figure(0.9 + (0.5 if len(entries) <= DENSE else 0.34) * max(len(entries), 2))
    axes = fig.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        _bars(ax, Measure.of(material, entries, metric), entries)
        marks.without_rules(ax)
    width = 34 if len(metrics) < 3 else 24
    marks.rows(axes[0], [style.wrapped(material.label(e), width) for e in entries])
    marks.key(axes[0], has_band=bool(published))
    style.legend(fig)
    return fig, (
        f"{material.not_alike(published)}Small dots: single runs ({material.n_seeds(entries)}); bars and large dots: "
        f"their mean, with the {style.INTERVAL}. × : as a multiple of {material.label(entries[0])}. Times and memory "
        "are those of the hardware that the table of costs names."
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
    choice, entries, metrics = _asked(material, plot)
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
    return sorted(values) if _is_numeric(values) else values


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
    choice, entries, metrics = _asked(material, plot)
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
