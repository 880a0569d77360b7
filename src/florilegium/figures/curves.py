"""Scores and losses by epoch, of all arms in one pair of axes or in a pair of panels each; and a finder's losses."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, members
from florilegium.figures.style import Drawing
from florilegium.report.runs import Run, curve
from florilegium.report.tables import axis

ACROSS = 5  # arms a row of panels
BOLD = 2.4  # points
VALIDATION: dict[str, Any] = {"color": style.PALETTE[0], "linestyle": "-"}
TRAINING: dict[str, Any] = {"color": style.SOFT, "linestyle": "--"}
PUBLISHED: dict[str, Any] = {"color": style.BAND, "linewidth": 4, "zorder": 1}


def add_runs(
    ax: Axes, runs: Sequence[Run], column: str, scale: float, look: Mapping[str, Any], *, small: bool = False
) -> None:
    """A column of the history by epoch: single runs thin, their mean bold, a cross where a run diverged."""
    thin, bold, cross, cross_colour = (0.8, 2, 7, style.WRONG) if small else (0.9, BOLD, 8, look["color"])
    curves = []
    for run in runs:
        values = scale * curve(run, column)
        values[~np.isfinite(values)] = np.nan
        finite = np.flatnonzero(~np.isnan(values))
        if not len(finite):
            continue
        ax.plot(np.arange(1, len(values) + 1), values, linewidth=thin, alpha=0.4, **look)
        if run.diverged:
            ax.plot(finite[-1] + 1, values[finite[-1]], marker="x", markersize=cross, color=cross_colour, mew=2)
        else:
            curves.append(values)
    if curves:
        mean = mean_curve(curves)
        ax.plot(np.arange(1, len(mean) + 1), mean, linewidth=bold, **look)


def mean_curve(curves: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean over runs at each epoch, over those that got so far; shape (longest,)."""
    padded = np.full((len(curves), max(len(c) for c in curves)), np.nan)
    for row, values in zip(padded, curves, strict=True):
        row[: len(values)] = values
    counts = np.sum(~np.isnan(padded), axis=0)
    return np.where(counts > 0, np.nansum(padded, axis=0) / np.maximum(counts, 1), np.nan)


# One pair of axes for all arms


def draw_curves(material: Material, plot: Plot) -> Drawing:
    """Validation accuracy and training loss against the epoch, one colour an arm."""
    entries = members(material.study, plot)
    fig = style.figure(3.4)
    accuracy, loss = fig.subplots(1, 2)
    for index, entry in enumerate(entries):
        look, runs, label = style.line(index), material.runs[entry.key], material.label(entry)
        add_runs(accuracy, runs, entry.scoring.validated, axis(entry.scoring.main, 1.0)[1], look)
        add_runs(loss, runs, "train_loss", 1, look)
        if not runs:
            label = f"{label}: not run"
        elif any(np.isfinite(curve(run, entry.scoring.validated)).any() for run in runs):
            label = style.wrapped(label, 64)
        else:
            label = style.wrapped(f"{label}: no validation", 64)
        loss.plot([], [], linewidth=BOLD, label=label, **look)
    label = axis(entries[0].scoring.main, 1.0)[0].removeprefix("test ")
    _describe(accuracy, "Validation", label, "no validation split, so no curve")
    _describe(loss, "Training loss", "loss", "no finished run")
    style.legend(fig)
    return fig, (
        f"Thin lines: single runs ({material.n_seeds(entries)}); bold: their mean at each epoch. A cross marks where a "
        "run diverged. The loss is the one that was minimised, on augmented images, so that it can stay above the "
        "validation loss."
    )


def _describe(ax: Axes, title: str, unit: str, empty: str) -> None:
    """Title and axes of a panel; `empty` is its text without a curve."""
    ax.set_title(title)
    if not any(np.size(line.get_xdata()) for line in ax.lines):
        style.nothing(ax, empty)
        return
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    ax.set(xlabel="epoch", ylabel=unit, ylim=(0, None))


# A pair of panels for each arm


def draw_panels(material: Material, plot: Plot) -> Drawing:
    """For each arm its loss above and its main metric below, every panel of a kind on the same scale."""
    entries = members(material.study, plot)
    published = plot.choice.published if plot.choice else ()
    losses = {of.experiment: of.losses for of in published}
    n_blocks = ceil(len(entries) / ACROSS)
    n_across = ceil(len(entries) / n_blocks)
    fig = style.figure(0.4 + 3.7 * n_blocks, style.WIDTH if n_across > 2 else 0.35 * style.WIDTH * (1 + n_across))
    axes = fig.subplots(2 * n_blocks, n_across, squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    pairs = [pair for block in range(n_blocks) for pair in zip(axes[2 * block], axes[2 * block + 1], strict=True)]
    for index, (entry, (loss, score)) in enumerate(zip(entries, pairs, strict=False)):
        runs = material.runs[entry.key]
        # As far as our own runs go: the published epochs beyond would squeeze them.
        longest = max((len(run.history) for run in runs), default=None)
        if known := losses.get("/".join(entry.key), ())[:longest]:
            loss.plot(np.arange(1, len(known) + 1), known, **PUBLISHED)
        label, scale = axis(entry.scoring.main, 1.0)
        _panel(loss, runs, "loss", 1.0)
        _panel(score, runs, entry.scoring.main, scale)
        loss.set_title(style.wrapped(material.label(entry), 22), fontsize=9)
        score.set_xlabel("epoch")
        loss.tick_params(labelbottom=False)
        if index % n_across == 0:
            loss.set_ylabel("loss")
            score.set_ylabel(label.removeprefix("test "))
        else:
            loss.tick_params(labelleft=False)
            score.tick_params(labelleft=False)
    for column in zip(*pairs[: len(entries)], strict=True):
        _same_limits(column)
    beside = [("published training", PUBLISHED)] if losses else []
    for name, look in (("validation", VALIDATION), ("training", TRAINING), *beside):
        axes[0, 0].plot([], [], label=name, **{"linewidth": 2, **look})
    style.legend(fig, columns=3)
    sources = "; ".join(dict.fromkeys(of.source for of in published))
    return fig, (
        f"{material.not_alike([e for e in entries if '/'.join(e.key) in losses])}One column an arm, all on the same "
        f"scales. Thin: single runs ({material.n_seeds(entries)}); bold: their mean at each epoch. A cross marks where "
        "a run diverged. The training loss is the one that was minimised, on augmented images, so that it can stay "
        f"above the validation loss.{f' Published training losses: {sources}.' if sources else ''}"
    )


def _panel(ax: Axes, runs: Sequence[Run], name: str, scale: float) -> None:
    ax.set_visible(True)
    add_runs(ax, runs, f"train_{name}", scale, TRAINING, small=True)
    add_runs(ax, runs, f"val_{name}", scale, VALIDATION, small=True)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    if not ax.lines:
        style.nothing(ax, "not run" if not runs else "not validated")


def _same_limits(axes: Sequence[Axes]) -> None:
    """One scale for all; a few values far above the rest, as before a divergence, do not set it."""
    lines = [line.get_ydata() for ax in axes for line in ax.lines]
    if not lines:
        return
    values = np.concatenate([np.asarray(y, dtype=float).ravel() for y in lines])
    values = values[np.isfinite(values)]
    top = min(values.max(), 3 * np.quantile(values, 0.95)) if len(values) else 1.0
    for ax in axes:
        ax.set_ylim(0, 1.06 * top if top > 0 else 1.0)


# A learning-rate finder


def write_finder(table: pd.DataFrame, suggestion: float, path: Path, name: str, *, is_demo: bool) -> Path:
    """Write the losses of a finder to `path`, which is returned; `table` is `finder.csv`, `name` the experiment's."""
    question = f"Which rate does {name} learn at?"
    return style.write(path, question, lambda: _finder(table, suggestion), is_demo=is_demo)


def _finder(table: pd.DataFrame, suggestion: float) -> Drawing:
    """Loss against the rate of each step."""
    fig = style.figure(3.6)
    ax = fig.subplots()
    ax.plot(table["lr"], table["loss"], color=style.BAND, linewidth=1.0, label="loss of one step")
    ax.plot(table["lr"], table["smoothed"], color=style.colour(0), linewidth=2.4, label="smoothed")
    ax.axvline(suggestion, color=style.colour(1), linestyle="--", linewidth=1.4)
    smooth = table["smoothed"]
    at = smooth.iloc[(table["lr"] - suggestion).abs().argmin()]
    ax.plot([suggestion], [at], "o", color=style.colour(1), markersize=8, label=f"suggested: {suggestion:g}")
    ax.set_xscale("log")
    low, first = smooth.min(), smooth.iloc[0]
    ax.set_ylim(low - 0.15 * (first - low), first + 0.6 * (first - low))
    ax.set(xlabel="learning rate", ylabel="training loss (nats)")
    style.legend(fig, columns=3)
    return fig, (
        f"Range test of {len(table)} steps, one a rate. The dot marks where the smoothed loss falls fastest (by a line "
        "through a fifth of the steps), not its lowest point, beyond which the loss soon grows. Losses above the "
        "picture are cut off."
    )
