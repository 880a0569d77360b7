"""A detector's answers on test images: what there is beside what it found, and the images it fails on most."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from florilegium.data.scene_pictures import ScenePictures
from florilegium.evaluation.detection_errors import Judged, judge
from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned
from florilegium.report.study import Entry

ANNOTATIONS = "annotations.json"  # what packed pictures show, beside them
SHOWN = 8  # images
ACROSS = 2  # images a row, each as a pair
READING = (
    "Left: what there is; dashed where it was missed. Right: what was found, with its score in per cent; green where it is "
    "right, else with the kind of error: another class, a bad box, found twice, or nothing there."
)
KINDS = {"class": "class", "box": "box", "duplicate": "twice", "background": "nothing"}


def sources(material: Material) -> list[Path]:
    """Every file that the pictures are made of, beside those of the runs."""
    packed = material.scenes
    return [packed, packed.with_suffix(".csv"), packed.with_name(ANNOTATIONS)] if packed else []


def draw_detections(material: Material, figure: Planned) -> Figure:
    """Test images with objects, evenly spread, whatever came of them."""
    return _draw(material, figure, _spread, "evenly spread over the test set")


def draw_misses(material: Material, figure: Planned) -> Figure:
    """The test images with most objects missed, and of equal ones those with most wrong detections."""
    return _draw(material, figure, _worst, "with most objects missed, then with most errors")


def _spread(images: dict[int, Judged]) -> list[int]:
    shown = [number for number, image in sorted(images.items()) if image.objects]
    places = np.unique(np.linspace(0, len(shown) - 1, min(SHOWN, len(shown))).astype(int))
    return [shown[place] for place in places]


def _worst(images: dict[int, Judged]) -> list[int]:
    faults = {
        number: (image.n_missed, sum(kind != "correct" for _, kind in image.detections))
        for number, image in images.items()
    }
    found = [number for number in faults if any(faults[number])]
    return sorted(found, key=lambda number: (*(-count for count in faults[number]), number))[:SHOWN]


def _draw(material: Material, figure: Planned, choose: Any, which: str) -> Figure:
    entry = material.study.detector() or material.study.main()
    runs = material.finished(entry)
    shown: list[int] = []
    if runs and material.scenes:
        pictures = ScenePictures(material.scenes, material.scenes.with_name(ANNOTATIONS), entry.test)
        score = runs[0].detail()["errors"]["score"]
        images = judge(pictures.truth, runs[0].detections(), score)
        shown = choose(images)
    if shown:
        fig = _grid(shown, images, pictures)
        least = (
            "all detections, none of which is right"
            if score is None
            else f"detections from a score of {100 * score:.0f} % on, where F1 is best"
        )
        told = f"Test images of the first seed, {which}; {least}. {READING}"
    else:
        fig = style.figure(2)
        style.nothing(fig.subplots(), _why(material, entry))
        told = READING
    style.frame(fig, material.study, f"{figure.question} {material.label(entry)}", told)
    return fig


def _why(material: Material, entry: Entry) -> str:
    if not material.finished(entry):
        return "no finished run"
    return "no image to show" if material.scenes else "no packed pictures"


def _grid(shown: Sequence[int], images: dict[int, Judged], pictures: ScenePictures) -> Figure:
    """Pairs of panels, row by row; a row is as high as its highest picture asks for."""
    names = {category["id"]: category["name"] for category in pictures.truth["categories"]}
    rows = [shown[start : start + ACROSS] for start in range(0, len(shown), ACROSS)]
    found = {number: pictures.picture(number) for number in shown}
    shapes = {number: picture.shape for number, (picture, _) in found.items()}
    ratios = [max(shapes[number][0] / shapes[number][1] for number in row) for row in rows]
    width = style.WIDTH / (2 * ACROSS)
    fig = Figure(figsize=(style.WIDTH, width * sum(ratios) + 0.3 * len(rows)))
    places = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0.03, "hspace": 0.14}
    axes = fig.subplots(len(rows), 2 * ACROSS, squeeze=False, gridspec_kw={**places, "height_ratios": ratios})
    for ax in axes.flat:
        ax.set_axis_off()
    for line, row in zip(axes, rows, strict=True):
        for place, number in enumerate(row):
            _pair(line[2 * place], line[2 * place + 1], images[number], *found[number], names)
    return fig


def _pair(
    there: Axes, answer: Axes, image: Judged, picture: Any, scale: float, names: dict[int, str]
) -> None:
    for ax in (there, answer):
        ax.imshow(picture, interpolation="nearest")
    for line, missed in image.objects:
        colour = style.WRONG if missed else style.PALETTE[0]
        dash = "--" if missed else "-"
        _box(there, line["bbox"], scale, names[line["category_id"]], colour, linestyle=dash)
    for line, kind in reversed(image.detections):  # the likeliest on top
        name = f"{names[line['category_id']]} {100 * line['score']:.0f}"
        error = f" ({KINDS[kind]})" if kind in KINDS else ""
        _box(
            answer,
            line["bbox"],
            scale,
            name + error,
            style.WRONG if error else style.RIGHT,
            below=bool(error),
        )
    _head(there, f"{len(image.objects)} there, {image.n_missed} missed")
    n_wrong = sum(kind != "correct" for _, kind in image.detections)
    _head(answer, f"{len(image.detections)} found, {n_wrong} wrong")


def _head(ax: Axes, text: str) -> None:
    ax.set_title(text, fontsize=7.5, fontweight="normal", color=style.SOFT, pad=2)


def _box(
    ax: Axes,
    box: Sequence[float],
    scale: float,
    text: str,
    colour: str,
    *,
    linestyle: str = "-",
    below: bool = False,
) -> None:
    """A box with its text at the upper left corner, or at the lower one, where it hides no other."""
    x, y, width, height = (scale * value for value in box)
    x, y = x - 0.5, y - 0.5  # pixel centres lie at whole numbers
    ax.add_patch(
        Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.6, linestyle=linestyle)
    )
    ax.text(
        x, y + height if below else max(y, 0), text, fontsize=6, color="white", va="bottom" if below else "top",
        ha="left", clip_on=True, bbox={"boxstyle": "square,pad=0.15", "fc": colour, "ec": "none", "alpha": 0.85},
    )  # fmt: skip
