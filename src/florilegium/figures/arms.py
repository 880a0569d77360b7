"""A metric against a value that arms were given, such as accuracy against frozen blocks."""

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, log10
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.core.figures import SPLIT
from florilegium.core.metrics import DIVERGENCE, WORDS
from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, members
from florilegium.report.measures import counted, value
from florilegium.report.study import SHARE, Entry, Key
from florilegium.report.tables import axis

WIDE = 30  # a value that spans more than this factor stands on a logarithmic scale
TICKS = 10
CALLED = {
    SHARE: "generated images to each real one",
    "recipe.lr": "learning rate",
    "recipe.freeze_blocks": "frozen blocks",
    "recipe.focal_alpha": "focal loss: α",
    "recipe.focal_gamma": "focal loss: γ",
}


def draw_against(material: Material, figure: Planned) -> Figure:
    """One panel a metric; one line for each value of `by` and each official split."""
    assert figure.chosen is not None and figure.chosen.x is not None
    entries, x = members(material.study, figure), figure.chosen.x
    metrics = figure.chosen.metrics or (entries[0].scoring.main,)
    lines = lines_of(entries, figure.chosen.by)
    places, names = _places(entries, x)
    n_rows = ceil(len(metrics) / 2)
    fig = style.figure(0.4 + 3.4 * n_rows)
    axes = fig.subplots(n_rows, min(len(metrics), 2), squeeze=False)
    for ax in axes.flat[len(metrics) :]:
        ax.set_visible(False)
    step = 0.022 * axes.shape[1] * _span(places)  # lines stand side by side
    aside = {
        entry.key: places[entry.key] + (index - (len(lines) - 1) / 2) * step
        for index, line in enumerate(lines.values())
        for entry in line
    }
    for ax, metric in zip(axes.flat, metrics, strict=False):
        label, scale = _axis(material, entries, metric)
        for index, line in enumerate(lines.values()):
            start = start_of(line, lines.values(), places)
            _line(ax, material, line, metric, aside, scale, index, start)
        if ax.has_data():
            ax.set_ylabel(label)
            _ticks(ax, names, x)
        else:
            style.nothing(ax, f"{WORDS[metric]}: no finished run")
    _key(axes.flat[0], lines, has_band=any(p.metric in metrics for e in entries for p in e.published))
    style.legend(fig, columns=3)
    style.frame(
        fig,
        material.study,
        figure.question,
        f"{material.not_alike([e for e in entries if any(p.metric in metrics for p in e.published)])}"
        f"Small dots: single runs ({material.n_seeds(entries)}, {material.n_tests(entries)}); large: mean; bars: "
        f"{style.INTERVAL}.",
    )
    return fig


def said(entry: Entry, path: str) -> Any:
    """What an arm is called, or a value that it is specified by."""
    return {"experiment": entry.experiment, "arm": entry.arm}.get(path, entry.values.get(path))


def text(found: Any) -> str:
    """Such a value, for people."""
    if found is None:
        return "default"
    if isinstance(found, list):
        return ", ".join(map(text, found)) or "none"
    return f"{found:g}" if isinstance(found, float) else str(found).replace("_", " ")


def called(path: str) -> str:
    """A value of the arms, for people."""
    return CALLED.get(path, path.split(".")[-1].replace("_", " "))


def lines_of(entries: Sequence[Entry], by: str | None) -> dict[str, list[Entry]]:
    """The arms of each line, by the line's name; an experiment on each official split has a line a split."""
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        split = SPLIT.search(entry.experiment)
        parts = [f"{by.split('.')[-1].replace('_', ' ')} {text(said(entry, by))}" if by and "." in by else ""]
        parts += [text(said(entry, by)) if by and "." not in by else ""]
        parts += [split[0].removeprefix("_").replace("split", "split ") if split else ""]
        found.setdefault(", ".join(filter(None, parts)), []).append(entry)
    return found


def start_of(
    line: Sequence[Entry], lines: Iterable[Sequence[Entry]], places: Mapping[Key, float]
) -> Entry | None:
    """What a line sets out from though it is none of its own: the baseline of its arms, alone and left of them."""
    keys = {entry.key for entry in line}
    for other in lines:
        only = other[0]
        if len(other) == 1 and only.key not in keys and all(e.baseline_key == only.key for e in line):
            return only if places[only.key] < min(places[key] for key in keys) else None
    return None


def _places(entries: Sequence[Entry], x: str) -> tuple[dict[Key, float], dict[float, str]]:
    """Where each arm stands, and what is written at each place: numbers to scale, other values in order."""
    values = {entry.key: said(entry, x) for entry in entries}
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values.values())
    if not is_number:
        texts = {key: text(found) for key, found in values.items()}
        order = list(dict.fromkeys(texts.values()))
        return {key: float(order.index(text)) for key, text in texts.items()}, dict(enumerate(order))
    low, high = min(values.values()), max(values.values())
    is_log = low > 0 and high / low > WIDE
    places = {key: log10(found) if is_log else float(found) for key, found in values.items()}
    return places, {places[key]: text(found) for key, found in values.items()}


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
        x, runs = places[entry.key], material.runs[entry.key]
        published(ax, entry, metric, x, 0.035 * _span(places), scale)
        mean, low, high = (scale * v for v in material.summary(metric, entry))
        if not np.isfinite(mean):
            continue
        if metric != DIVERGENCE:  # of which a single run is one or none
            single = [scale * value(run, metric) for run in counted(metric, runs)]
            beside = [x + 0.012 * _span(places)] * len(single)
            ax.plot(beside, single, "o", markersize=4, alpha=0.45, color=colour, zorder=3)
        ax.plot([x, x], [low, high], linewidth=2.6, color=colour, zorder=3)
        ax.plot(x, mean, "o", markersize=8, color=colour, markeredgecolor="white", zorder=4)
        means.append((x, mean))
    ax.plot(*np.array(means).reshape(-1, 2).T, color=colour, linestyle=style.dashes(index), linewidth=1.2)


def published(ax: Axes, entry: Entry, metric: str, x: float, width: float, scale: float) -> None:
    for figure in entry.published:
        if figure.metric == metric:
            low, high = scale * figure.low, scale * figure.high
            ax.fill_between([x - width, x + width], low, high, color=style.BAND, zorder=1)
            # A single number has no height of its own, and still has to be seen.
            middle = [(low + high) / 2] * 2
            ax.plot(
                [x - width, x + width], middle, color=style.BAND, linewidth=3, solid_capstyle="butt", zorder=1
            )


def _axis(material: Material, entries: Sequence[Entry], metric: str) -> tuple[str, float]:
    """The label and scale that all panels of a metric share."""
    means = [material.summary(metric, e)[0] for e in material.study.entries if e in entries]
    return axis(metric, float(np.nanmax([0.0, *means])))


def _ticks(ax: Axes, names: Mapping[float, str], x: str) -> None:
    ax.set_xlabel(called(x))
    ax.margins(x=0.12)
    if len(names) <= TICKS:
        crowded = max(map(len, names.values())) * len(names) > 60
        ax.set_xticks(sorted(names), [names[at] for at in sorted(names)], rotation=30 if crowded else 0)


def _key(ax: Axes, lines: Iterable[str], *, has_band: bool) -> None:
    for index, name in enumerate(lines):
        if name:
            look: dict[str, Any] = {"color": style.colour(index), "linestyle": style.dashes(index)}
            ax.plot([], [], linewidth=2, label=style.wrapped(name, 40), **look)
    ax.plot([], [], "o", color=style.INK, label="mean, 95 % interval")
    if has_band:
        ax.fill_between([], [], color=style.BAND, label="published")
