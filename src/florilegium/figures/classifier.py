"""A classifier's answers: the classes that it confuses, and test images with their predictions."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from florilegium.data.pack import read_pixels
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, members
from florilegium.figures.style import Drawing

ANNOTATED = 20  # classes up to which each cell shows its count
MATRIX = 50  # classes up to which a matrix can be read
PAIRS = 25
COLUMNS = 6  # of sample images


def sources(material: Material) -> list[Path]:
    """The packed pictures that sample images are taken from."""
    entry = material.study.classifier()
    pixels = material.pixels.get(entry.dataset) if entry else None
    return [pixels, pixels.with_suffix(".csv")] if pixels else []


def coded(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Predictions with places in label order for the names of classes."""
    places = {name: place for place, name in enumerate(classes)}
    return predictions.assign(**{key: predictions[key].map(places) for key in ("target", "prediction")})


def draw_confusion(material: Material, plot: Plot) -> Drawing:
    """Errors summed over seeds, in shares of the true class: a matrix, or of many classes the pairs confused most."""
    (entry,) = members(material.study, plot)
    runs = material.finished(entry)
    classes = material.classes.get(entry.dataset, ())
    names = material.called(entry.dataset)
    n = len(classes)
    is_matrix = n <= MATRIX
    side = float(np.clip(2.6 + 0.3 * n, 5.5, 12.0))
    fig = style.figure(side * 0.92, max(side, 7.5)) if is_matrix else style.figure(1 + 0.27 * PAIRS)
    ax = fig.subplots()
    if runs and n:
        counts = confusion([coded(run.predictions(), classes) for run in runs], n)
        if is_matrix:
            _matrix(fig, ax, counts, names)
        else:
            _pairs(ax, counts, names)
    else:
        style.nothing(ax, "no finished run")
    reading = f"The {PAIRS} pairs of {n} classes that are confused most, as shares of the true class; numbers: images."
    if is_matrix:
        cells = "; numbers: images" if n <= ANNOTATED else ""
        reading = f"Colour: share of the true class{cells}. The diagonal is right."
    counted = f"{material.n_seeds([entry])} together ({material.n_tests([entry])} each)"
    return fig, f"Test images of {entry.dataset}, {counted}. {reading}"


def confusion(tables: Sequence[pd.DataFrame], n_classes: int) -> NDArray[np.int64]:
    """Counts by (target, prediction), shape (C, C), summed over tables of predictions."""
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    for table in tables:
        np.add.at(counts, (table["target"].to_numpy(), table["prediction"].to_numpy()), 1)
    return counts


def _matrix(fig: Figure, ax: Axes, counts: NDArray[np.int64], classes: Sequence[str]) -> None:
    label = "share of the true class (%)"
    marks.confusion(fig, ax, counts, ANNOTATED, label=label, aspect="equal", shrink=0.7)
    size = float(np.clip(170 / len(classes), 4.2, 9))
    ax.set_xticks(range(len(classes)), classes, rotation=90, fontsize=size)
    ax.set_yticks(range(len(classes)), classes, fontsize=size)
    ax.set(xlabel="predicted class", ylabel="true class")


def most_confused(counts: NDArray[np.int64], n: int) -> list[tuple[int, int]]:
    """The `n` pairs (target, prediction) off the diagonal with the largest share of the target's images."""
    share = marks.shares(counts)  # (C, C)
    np.fill_diagonal(share, 0)
    places = np.argsort(-share, axis=None, kind="stable")[:n]
    pairs = zip(*np.unravel_index(places, share.shape), strict=True)
    return [(int(i), int(j)) for i, j in pairs if share[i, j] > 0]


def _pairs(ax: Axes, counts: NDArray[np.int64], classes: Sequence[str]) -> None:
    pairs = most_confused(counts, PAIRS)
    if not pairs:
        style.nothing(ax, "no error")
        return
    totals = counts.sum(axis=1)
    for row, (i, j) in enumerate(pairs):
        share = 100 * counts[i, j] / totals[i]
        ax.barh(-row, share, height=0.62, color=style.PALETTE[0])
        marks.remark(ax, f"{counts[i, j]} of {totals[i]}", (share, -row))
    names = [f"{_short(classes[i], 28)} \u2192 {_short(classes[j], 28)}" for i, j in pairs]
    marks.rows(ax, names, fontsize=8.5)
    ax.set_xlabel("images of the true class that are taken for the other (%)")
    ax.margins(x=0.12)


def draw_samples(material: Material, plot: Plot) -> Drawing:
    """Test images with class, prediction and probability: right ones, the least sure answers and the surest errors."""
    (entry,) = members(material.study, plot)
    runs = material.finished(entry)
    fig = Figure(figsize=(style.WIDTH, 7.6))
    places = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0.06, "hspace": 0.36}
    grid = fig.subplots(4, COLUMNS, gridspec_kw=places)
    for ax in grid.flat:
        ax.set_axis_off()
    if runs and entry.dataset in material.pixels:
        names = material.called(entry.dataset)
        predictions = coded(runs[0].predictions(), material.classes[entry.dataset])
        parts = choose(predictions, COLUMNS)
        pixels = read_pixels(material.pixels[entry.dataset], list(pd.concat(parts)["image"].unique()))
        for axes, part in zip((grid[0], grid[1], grid[2:].flat), parts, strict=True):
            for ax, row in zip(axes, part.itertuples(), strict=False):
                colour = style.RIGHT if row.target == row.prediction else style.WRONG
                _sample(ax, pixels[row.image], names[row.target], names[row.prediction], row.probability, colour)
    else:
        style.nothing(grid[1, 2], "no finished run")
    return fig, (
        "Test images of the first seed. First row: right, spread evenly over the test set. Second row: its least sure "
        "answers. Lower half: the errors that it was surest of. True class above, prediction and its probability below."
    )


def choose(predictions: pd.DataFrame, n: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """`n` right rows, evenly spread in the order of classes, the `n` least sure ones, and the 2 `n` surest errors."""
    is_right = predictions["target"] == predictions["prediction"]
    right = predictions[is_right].sort_values(["target", "image"])
    spread = np.unique(np.linspace(0, len(right) - 1, min(n, len(right))).astype(int))
    unsure = predictions.sort_values(["probability", "image"]).head(n)
    wrong = predictions[~is_right].sort_values(["probability", "image"], ascending=[False, True])
    return right.iloc[spread], unsure, wrong.head(2 * n)


def _sample(ax: Axes, pixels: NDArray[np.uint8], target: str, prediction: str, probability: float, colour: str) -> None:
    ax.set_axis_on()
    marks.picture(ax, pixels, edge=colour)
    marks.heading(ax, _short(target, 19), 8.5, pad=4)
    ax.set_xlabel(f"{_short(prediction, 14)} {100 * probability:.0f} %", fontsize=8.5, color=colour)


def _short(name: str, width: int) -> str:
    short = textwrap.shorten(name, width, placeholder="…")
    return short if short != "…" else f"{name[: width - 1]}…"  # a word that is too long by itself
