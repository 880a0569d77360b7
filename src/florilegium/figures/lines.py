"""Figures that a study file asks for: metrics over a value of the arms, and over one another."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, log10

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.config.metrics import DIVERGENCE, WORDS
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.measure import Measure, asked, clock, is_numeric, name_of, text, value_of, with_published
from florilegium.figures.registry import Plot
from florilegium.figures.style import Drawing
from florilegium.report.runs import counted, value
from florilegium.report.study import Entry, Key

WIDE = 30  # a value that spans more than this factor stands on a logarithmic scale
TICKS = 10  # named places at most


def draw_against(material: Material, plot: Plot) -> Drawing:
    """Metrics over a value of the arms: a panel a metric, a line for each value of `by` and each official split."""
    choice, entries, metrics = asked(material, plot)
    x, published = choice.x or "", with_published(entries, metrics)
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
    if not is_numeric(values.values()):
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
    choice, entries, metrics = asked(material, plot)
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
    return fig, f"{material.reading(entries)}, of both.{clock([choice.x or '', *metrics])}"


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
