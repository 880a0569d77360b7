"""Sample predictions: test images with what was seen in them."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from florilegium.data.packed import read_pixels
from florilegium.figures import style
from florilegium.figures.classifier import coded
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned

COLUMNS = 6


def draw_samples(material: Material, figure: Planned) -> Figure:
    """Test images with class, prediction and probability: right ones and the surest errors."""
    entry = material.study.classifier() or material.study.main()
    runs = material.finished(entry)
    fig = Figure(figsize=(style.WIDTH, 7.6))
    places = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0.06, "hspace": 0.36}
    grid = fig.subplots(4, COLUMNS, gridspec_kw=places)
    for ax in grid.flat:
        ax.set_axis_off()
    if runs and entry.dataset in material.pixels:
        classes = material.called(entry.dataset)
        predictions = coded(runs[0].predictions(), material.classes[entry.dataset])
        halves = choose(predictions, 2 * COLUMNS)
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
    return textwrap.shorten(name, width, placeholder="…")
