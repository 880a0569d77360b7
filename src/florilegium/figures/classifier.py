"""Which classes are mistaken for which: a matrix, or of many classes the pairs that are confused most."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned

ANNOTATED = 20  # classes up to which each cell shows its count
MATRIX = 50  # classes up to which a matrix can be read
PAIRS = 25


def draw_confusion(material: Material, figure: Planned) -> Figure:
    """Errors of the study's main arm, summed over seeds, in shares of the true class."""
    entry = material.study.classifier() or material.study.main()
    runs = material.finished(entry)
    classes = material.classes.get(entry.dataset, ())
    called = material.called(entry.dataset)
    n = len(classes)
    is_matrix = n <= MATRIX
    side = float(np.clip(2.6 + 0.3 * n, 5.5, 12.0))
    fig = style.figure(side * 0.92, max(side, 7.5)) if is_matrix else style.figure(1 + 0.27 * PAIRS)
    ax = fig.subplots()
    if runs and n:
        counts = confusion([coded(run.predictions(), classes) for run in runs], n)
        if is_matrix:
            _matrix(fig, ax, counts, called)
        else:
            _pairs(ax, counts, called)
    else:
        style.nothing(ax, "no finished run")
    reading = (
        f"Colour: share of the true class{'; numbers: images' if n <= ANNOTATED else ''}. The diagonal is right."
        if is_matrix
        else f"The {PAIRS} pairs of {n} classes that are confused most, as shares of the true class; numbers: images."
    )
    style.frame(
        fig,
        material.study,
        f"{figure.question} {material.label(entry)}",
        f"Test images of {entry.dataset}, {material.n_seeds([entry])} together ({material.n_tests([entry])} each). "
        f"{reading}",
    )
    return fig


def coded(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Predictions with classes as places in label order, also where the file names them."""
    if pd.api.types.is_integer_dtype(predictions["target"]):
        return predictions
    places = {name: place for place, name in enumerate(classes)}
    columns = {key: predictions[key].map(places) for key in ("target", "prediction")}
    return predictions.assign(**columns)


def confusion(tables: Sequence[pd.DataFrame], n_classes: int) -> NDArray[np.int64]:
    """Counts by (target, prediction), shape (C, C), summed over tables of predictions."""
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    for table in tables:
        np.add.at(counts, (table["target"].to_numpy(), table["prediction"].to_numpy()), 1)
    return counts


def _matrix(fig: Figure, ax: Axes, counts: NDArray[np.int64], classes: Sequence[str]) -> None:
    n = len(classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawn = ax.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
    size = float(np.clip(170 / n, 4.2, 9))
    ax.set_xticks(range(n), classes, rotation=90, fontsize=size)
    ax.set_yticks(range(n), classes, fontsize=size)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.grid(visible=False)
    ax.tick_params(length=0)
    fig.colorbar(drawn, ax=ax, shrink=0.7, label="share of the true class (%)")
    if n > ANNOTATED:
        return
    for i, j in zip(*np.nonzero(counts), strict=True):
        tint = "white" if share[i, j] > 0.55 else style.INK
        ax.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=7.5, color=tint)


def most_confused(counts: NDArray[np.int64], n: int) -> list[tuple[int, int]]:
    """The `n` pairs (target, prediction) off the diagonal with the largest share of the target's images."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (C, C)
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
        ax.annotate(
            f"{counts[i, j]} of {totals[i]}", (share, -row), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=8, color=style.SOFT,
        )  # fmt: skip
    names = [f"{_short(classes[i])} \u2192 {_short(classes[j])}" for i, j in pairs]
    ax.set_yticks([-row for row in range(len(pairs))], names, fontsize=8.5)
    ax.set_ylim(-len(pairs) + 0.4, 0.6)
    ax.set_xlabel("images of the true class that are taken for the other (%)")
    ax.margins(x=0.12)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)


def _short(name: str) -> str:
    return textwrap.shorten(name, 28, placeholder="…")
