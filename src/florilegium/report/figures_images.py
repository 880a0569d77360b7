"""Figures of single classes and images: confusion matrix and sample predictions."""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from florilegium.data.packed import read_pixels
from florilegium.report import style
from florilegium.report.catalogue import Planned
from florilegium.report.material import Material

ANNOTATED = 20  # classes up to which each cell shows its count
COLUMNS = 6


def draw_confusion(material: Material, figure: Planned) -> Figure:
    """Confusion matrix of the study's main arm, summed over seeds, in shares of the true class."""
    entry = material.study.main()
    runs = material.finished(entry)
    classes = material.classes.get(entry.dataset, ())
    n = len(classes)
    side = float(np.clip(2.6 + 0.3 * n, 5.5, 12.0))
    fig = style.figure(side * 0.92, max(side, 7.5))
    ax = fig.subplots()
    if runs and n:
        counts = confusion([coded(run.predictions(), classes) for run in runs], n)
        _matrix(fig, ax, counts, classes)
    else:
        style.nothing(ax, "no finished run")
    style.frame(
        fig,
        material.study,
        f"{figure.question} {material.label(entry)}",
        f"Test images of {entry.dataset}, {material.n_seeds([entry])} together ({material.n_tests([entry])} each). Colour: "
        f"share of the true class{'; numbers: images' if n <= ANNOTATED else ''}. The diagonal is right.",
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
    names = [name.replace("_", " ") for name in classes]
    ax.set_xticks(range(n), names, rotation=90, fontsize=size)
    ax.set_yticks(range(n), names, fontsize=size)
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


def draw_samples(material: Material, figure: Planned) -> Figure:
    """Test images with class, prediction and probability: right ones and the surest errors."""
    entry = material.study.main()
    runs = material.finished(entry)
    fig = Figure(figsize=(style.WIDTH, 7.6))
    places = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0.06, "hspace": 0.36}
    grid = fig.subplots(4, COLUMNS, gridspec_kw=places)
    for ax in grid.flat:
        ax.set_axis_off()
    if runs and entry.dataset in material.pixels:
        classes = material.classes[entry.dataset]
        halves = choose(coded(runs[0].predictions(), classes), 2 * COLUMNS)
        pixels = read_pixels(material.pixels[entry.dataset], list(pd.concat(halves)["image"]))
        for axes, half in zip((grid[:2].flat, grid[2:].flat), halves, strict=True):
            for ax, row in zip(axes, half.itertuples(), strict=False):
                _sample(ax, pixels[row.image], classes[row.target], classes[row.prediction], row.probability)
    else:
        style.nothing(grid[1, 2], "no finished run")
    style.frame(
        fig,
        material.study,
        f"{figure.question} {material.label(entry)}",
        "Test images of the first seed. Upper half: right, spread evenly over the test set. Lower half: the errors "
        "that it was surest of. True class above, prediction and its probability below.",
    )
    return fig


def choose(predictions: pd.DataFrame, n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`n` right rows, evenly spread in the order of classes, and the `n` surest wrong ones."""
    is_right = predictions["target"] == predictions["prediction"]
    right = predictions[is_right].sort_values(["target", "image"])
    spread = np.unique(np.linspace(0, len(right) - 1, min(n, len(right))).astype(int))
    wrong = predictions[~is_right].sort_values(["probability", "image"], ascending=[False, True])
    return right.iloc[spread], wrong.head(n)


def _sample(ax: Axes, pixels: NDArray[np.uint8], target: str, prediction: str, probability: float) -> None:
    colour = style.RIGHT if target == prediction else style.WRONG
    ax.set_axis_on()
    ax.imshow(pixels, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=2.5)
    ax.set_title(_short(target), fontsize=8.5, fontweight="normal", loc="center", pad=4)
    ax.set_xlabel(f"{_short(prediction, 14)} {100 * probability:.0f} %", fontsize=8.5, color=colour)


def _short(name: str, width: int = 19) -> str:
    return textwrap.shorten(name.replace("_", " "), width, placeholder="…")
