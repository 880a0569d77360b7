"""Attribution in pictures: maps of all methods and their scores, of one run, and of all arms of a study together."""

from collections.abc import Iterator, Sequence
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from florilegium.core.names import drawn
from florilegium.explanation.records import AttributionRecord
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, explained
from florilegium.figures.style import Drawing
from florilegium.report.scores import MEASURES, RANDOM
from florilegium.report.tables import read_csv

TITLES = {
    "saliency": "Saliency",
    "smoothgrad": "SmoothGrad",
    "integrated_gradients": "Integrated gradients",
    "gradient_shap": "GradientSHAP",
    "deeplift": "DeepLIFT",
    "occlusion": "Occlusion",
    "grad_cam": "Grad-CAM",
    "attention_rollout": "Attention rollout",
    "random_pixels": "Random pixels",
    "random_squares": "Random squares",
}
COLUMNS = 5
COLOURS = (*style.PALETTE[:-1], "#7A4B1E")  # no network has both Grad-CAM and attention rollout
FOR, AGAINST = "#C1121F", "#1D4ED8"
FULL = 99  # percentile of a map's magnitude that is drawn in full colour
MAP_NOTE = (
    "Red: speaks for the predicted class; blue: against it; the scale is each map's own. Saliency, SmoothGrad, "
    "Grad-CAM and attention rollout have no minus sign, and the last does not ask for the class."
)
JUDGED_NOTE = (
    "Deletion (D): mean probability of the predicted class while pixels are replaced by the mean colour, the most "
    "important first: low is good. Insertion (I): the same while they come back into a blurred image: high is good "
    "(Petsiuk et al. 2018)."
)
GAP_NOTE = "Gap: how far a map is from adding up to the change of the score from its baseline, as a share of it."
SCORES_NOTE = (
    "Dots: means over images; bars: 95 % t intervals; numbers: the paired gain over the better random order, in "
    "points, and its 95 % interval."
)
READ = (*AttributionRecord.FILES, "scores.csv")
IMAGES = 2  # of each arm: the first right and the first wrong one, where both are there


# Of one run


def draw(
    attributions: AttributionRecord, scores: pd.DataFrame, folder: Path, is_demo: bool, place: str
) -> Iterator[Path]:
    """Write `image1.png` and so on, and `scores.png`, of the run that `place` names into `folder`. Yields paths.

    `scores` is what `report.scores.summarise` makes.
    """
    for number in range(len(attributions.images)):
        name = attributions.of(number)["image"].iloc[0]
        question = f"Which pixels does the answer depend on? {name}, {place}"
        drawing = partial(_image, attributions, number)
        yield style.write(folder / f"image{number + 1}.png", question, drawing, is_demo=is_demo)
    question = f"Which explanation is to be preferred? {place}"
    yield style.write(folder / "scores.png", question, partial(_scores, attributions, scores), is_demo=is_demo)


def _image(attributions: AttributionRecord, number: int) -> Drawing:
    rows = ceil((1 + len(attributions.methods)) / COLUMNS)
    fig = style.figure(rows * (style.WIDTH / COLUMNS + 0.4))
    first, *others = fig.subplots(rows, COLUMNS, squeeze=False).flat
    add_image(first, attributions, number)
    for ax, method in marks.each(others, attributions.methods):
        add_map(ax, attributions, number, method)
    return fig, " ".join([MAP_NOTE, JUDGED_NOTE, GAP_NOTE, *unfit_note(attributions)])


def _scores(attributions: AttributionRecord, scores: pd.DataFrame) -> Drawing:
    height = 0.26 * len(attributions.orders)
    fig = style.figure(3.2 + height)
    grid = fig.subplots(2, 2, height_ratios=[3.2, height])
    add_curves(grid[0], attributions)
    add_scores(grid[1], scores)
    above = f"Above: means over {len(attributions.curves)} test images. {JUDGED_NOTE}"
    return fig, " ".join([above, SCORES_NOTE, *unfit_note(attributions)])


def unfit_note(attributions: AttributionRecord) -> list[str]:
    """A sentence for each method that was asked for and is missing."""
    missing = zip(attributions.unfit, attributions.reasons, strict=True)
    return [f"Not available for this network: {TITLES[method]} ({reason})." for method, reason in missing]


def add_image(ax: Axes, attributions: AttributionRecord, number: int) -> None:
    """A shown image as the network is fed it: its class above, the answer below."""
    row = attributions.of(number).iloc[0]
    colour = style.RIGHT if row["target"] == row["prediction"] else style.WRONG
    marks.picture(ax, attributions.images[number], edge=colour)
    _title(ax, _short(row["target"]))
    answer = f"{style.wrapped(_short(row['prediction']), 12)} {100 * row['probability']:.0f} %"
    ax.set_xlabel(answer, fontsize=7.5, color=colour)


def add_map(ax: Axes, attributions: AttributionRecord, number: int, method: str) -> None:
    """A method's map over its image in grey, with its numbers."""
    values = attributions.maps[number, list(attributions.methods).index(method)].astype(np.float64)
    row = attributions.of(number).loc[method]
    grey = attributions.images[number].mean(axis=2)
    marks.picture(ax, 128 + 0.45 * grey, cmap="gray", vmin=0, vmax=255)
    marks.overlay(ax, tinted(values), len(grey), "nearest")
    _title(ax, TITLES[method])
    gap = 100 * row["completeness_gap"] / max(abs(row["difference"]), 1e-12)
    known = "" if np.isnan(gap) else f"\ngap {gap:.2g} %" if gap >= 0.01 else "\ngap < 0.01 %"
    ax.set_xlabel(f"D {row['deletion']:.2f}  I {row['insertion']:.2f}{known}", fontsize=7.5)


def tinted(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A map (s, s) as colours (s, s, 4): red above zero, blue below, opaque where it is large."""
    largest = max(float(np.percentile(np.abs(values), FULL)), 1e-12)
    colours = np.where(values[..., None] > 0, to_rgb(FOR), to_rgb(AGAINST))
    opacity = np.clip(np.abs(values) / largest, 0, 1)
    return np.concatenate([colours, opacity[..., None]], axis=2)


def add_curves(axes: Sequence[Axes], attributions: AttributionRecord) -> None:
    """Mean deletion and mean insertion curve of each order of pixels, one axes each."""
    means = attributions.curves.astype(np.float64).mean(axis=0)  # (o, 2, p)
    shares = 100 * np.linspace(0, 1, means.shape[-1])
    for place, (ax, measure) in enumerate(zip(axes, MEASURES, strict=True)):
        for index, order in enumerate(attributions.orders):
            ax.plot(shares, means[index, place], label=TITLES[order] if place else None, **_look(order))
        done = "deleted" if measure == "deletion" else "inserted"
        ax.set(title=measure.capitalize(), xlabel=f"share of pixels {done} (%)", ylim=(0, 1.02))
    axes[0].set_ylabel("probability of the predicted class")
    axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7.5)


def add_scores(axes: Sequence[Axes], scores: pd.DataFrame) -> None:
    """Area under the curves of each order, a row each, with its interval; deletion and insertion, one axes each."""
    for ax, (measure, rows) in zip(axes, scores.groupby("measure", sort=True), strict=True):
        for place, row in enumerate(rows.itertuples()):
            colour = _look(row.method)["color"]
            marks.estimate(ax, (row.mean, row.ci_low, row.ci_high), place, colour, markersize=7)
            if not np.isnan(row.gain):
                gain = f"{100 * row.gain:+.0f} [{100 * row.gain_low:+.0f}, {100 * row.gain_high:+.0f}]  "
                gain = gain.replace("-", "−")
                marks.remark(ax, gain, (1.02, place), gap=0, at_edge=True, fontsize=7.5, color=style.INK)
        for order in RANDOM:
            ax.axvline(rows[rows["method"] == order]["mean"].iloc[0], color=style.SOFT, linewidth=1, linestyle=":")
        names = [TITLES[method] for method in rows["method"]]
        ax.set_yticks(range(len(names)), names if ax is axes[0] else [], fontsize=8.5)
        ax.tick_params(axis="y", length=0)
        ax.invert_yaxis()
        ax.margins(y=0.08)
        better = "low" if MEASURES[measure] < 0 else "high"
        ax.set_xlabel(f"area under the {measure} curve ({better} is good)")


def _look(order: str) -> dict[str, Any]:
    """Grey for random orders, a colour for each method."""
    if order in RANDOM:
        return {"color": style.SOFT, "linestyle": "--" if order == RANDOM[0] else ":", "linewidth": 1.6}
    return {"color": COLOURS[min(list(TITLES).index(order), len(COLOURS) - 1)], "linewidth": 1.8}


def _title(ax: Axes, text: str) -> None:
    marks.heading(ax, style.wrapped(text, 12), 8.5, pad=4)


def _short(name: str, width: int = 18) -> str:
    name = drawn(name).replace("_", " ")
    return name if len(name) <= width else name[: width - 1] + "…"


# Of all arms


def sources(material: Material) -> list[Path]:
    """The files that the figures of attribution are drawn from."""
    return [folder / file for folder in _folders(material).values() for file in READ]


def _folders(material: Material) -> dict[str, Path]:
    """The folder of the attributions of each arm's first seed, by the arm's name for people."""
    arms = material.first_seeds(explained(material.study), "attribution", READ[0])
    return {name: folder for name, (_, folder) in arms.items()}


def draw_attribution_scores(material: Material, plot: Plot) -> Drawing:
    """A row an arm: area under the deletion and the insertion curve of each method, beside random orders."""
    arms = {name: read_csv(folder / READ[-1]) for name, folder in _folders(material).items()}
    if not arms:
        return style.empty()
    lengths = [scores["method"].nunique() for scores in arms.values()]
    fig = style.figure(sum(0.9 + 0.26 * length for length in lengths))
    grid = fig.subplots(len(arms), 2, squeeze=False, height_ratios=[3 + length for length in lengths])
    for row, (name, scores) in zip(grid, arms.items(), strict=True):
        add_scores(row, scores)
        row[0].set_title(name)
    images = " or ".join(map(str, sorted({int(n) for scores in arms.values() for n in scores["n_images"]})))
    return fig, (
        f"First seed, {images} test images. {JUDGED_NOTE} {SCORES_NOTE} Dotted: random orders of pixels and of 8 x 8 "
        "squares."
    )


def draw_attribution_maps(material: Material, plot: Plot) -> Drawing:
    """Two rows an arm, an image each; a column a method."""
    arms = {name: AttributionRecord.load(folder) for name, folder in _folders(material).items()}
    if not arms:
        return style.empty()
    methods = [method for method in TITLES if any(method in a.methods for a in arms.values())]
    lines = [(name, a, number) for name, a in arms.items() for number in range(min(IMAGES, len(a.images)))]
    fig, grid = marks.picture_rows(len(lines), max(2, 1 + len(methods)), 0.8)
    for row, (name, attributions, number) in zip(grid, lines, strict=True):
        add_image(row[0], attributions, number)
        marks.name_row(row[0], name)
        for ax, method in zip(row[1:], methods, strict=False):
            if method in attributions.methods:
                add_map(ax, attributions, number, method)
            else:
                style.nothing(ax, "not available\nfor this network")
    return fig, f"First seed. {MAP_NOTE} {JUDGED_NOTE}"
