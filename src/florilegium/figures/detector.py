"""A detector's answers: kinds of errors, precision against recall, and test images with its detections."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from florilegium.data.pack import BoxedPictures
from florilegium.evaluation.detection_errors import Judged, judge
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import LINES, Plot, members
from florilegium.figures.style import Drawing
from florilegium.report.statistics import student

ANNOTATIONS = "annotations.json"  # of the objects in packed pictures, beside these
ERRORS = {  # kinds of detections and of missed objects: in words, and beside a box
    "correct": ("right", ""),
    "class": ("another class", "class"),
    "box": ("a bad box", "box"),
    "duplicate": ("found twice", "twice"),
    "background": ("nothing there", "nothing"),
    "missed": ("missed", ""),
}
ANNOTATED = 12  # classes up to which each cell shows its count
SHOWN = 8  # images
ACROSS = 2  # images a row, each as a pair
READING = (
    "Left: what there is; dashed where it was missed. Right: what was found, with its score in per cent; green where "
    "it is right, else with the kind of error: another class, a bad box, found twice, or nothing there."
)


def sources(material: Material) -> list[Path]:
    """The packed pictures and their annotations."""
    packed = material.scenes
    return [packed, packed.with_suffix(".csv"), packed.with_name(ANNOTATIONS)] if packed else []


def draw_errors(material: Material, plot: Plot) -> Drawing:
    """The kinds of `evaluation.detection_errors` left, objects against detections right."""
    (entry,) = members(material.study, plot)
    runs = material.finished(entry)
    classes = material.called(entry.dataset)
    fig = style.figure(max(3.8, 1.8 + 0.26 * (len(classes) + 1)))
    kinds, matrix = fig.subplots(1, 2, width_ratios=[1, 1.25])
    if runs and classes:
        errors = [run.detail()["errors"] for run in runs]
        _kinds(kinds, [of_run["counts"] for of_run in errors])
        _matrix(fig, matrix, np.sum([of_run["confusion"] for of_run in errors], axis=0), classes)
    else:
        style.nothing(kinds, "no finished run")
        matrix.set_visible(False)
    return fig, (
        "Detections from the score on at which F1 is best, at an IoU of 0.5. Left: detections of each kind, and "
        f"objects that nothing points at, a run; dots: single runs ({material.n_runs([entry])}); lines: 95 % t "
        "interval. Right: objects by class (rows) against what they were taken for, summed over seeds; colour: share "
        "of the row."
    )


def _kinds(ax: Axes, counts: Sequence[Mapping[str, int]]) -> None:
    for row, kind in enumerate(ERRORS):
        values = [of_run[kind] for of_run in counts]
        mean, low, high = student(values, least=0.0)
        colour = style.RIGHT if kind == "correct" else style.WRONG
        ax.barh(-row, mean, height=0.55, color=colour, alpha=0.55)
        marks.interval(ax, (low, high), -row, style.INK, width=1.6)
        marks.dots(ax, values, -row + 0.3, style.INK, markersize=3, alpha=0.6)
        marks.remark(ax, f"{mean:.3g}", (np.nanmax([*values, high]), -row))
    marks.rows(ax, [words for words, _ in ERRORS.values()])
    ax.margins(x=0.14)
    ax.set(xlabel="detections, or objects missed", xlim=(0, None))


def _matrix(fig: Figure, ax: Axes, counts: NDArray[np.int64], classes: Sequence[str]) -> None:
    """The last row counts detections where nothing is, the last column objects without a detection."""
    n = len(counts)
    marks.confusion(fig, ax, counts, ANNOTATED, label="share of the row (%)", shrink=0.8)
    size = float(np.clip(120 / n, 4.2, 8.5))
    ax.set_xticks(range(n), [*classes, "not found"], rotation=40, ha="right", fontsize=size)
    ax.set_yticks(range(n), [*classes, "nothing"], fontsize=size)
    ax.set(xlabel="found", ylabel="there")
    ax.axhline(n - 1.5, color="white", linewidth=2)
    ax.axvline(n - 1.5, color="white", linewidth=2)


def draw_precision_recall(material: Material, plot: Plot) -> Drawing:
    """Curves at an IoU of 0.5, of the classes with the lowest area where there are many; areas beside them."""
    (entry,) = members(material.study, plot)
    runs = material.finished(entry)
    details = [run.detail() for run in runs]
    classes = [name for name in details[0]["classes"] if name in details[0]["precision"]] if details else []
    fig = style.figure(max(3.6, 1.2 + 0.3 * len(classes)))
    curves, areas = fig.subplots(1, 2, width_ratios=[1.2, 1])
    if classes:
        order = sorted(classes, key=lambda name: np.mean(_percentages(details, name, "AP50")))
        worst = [name for name in classes if name in order[:LINES]]
        colours = {name: style.colour(index) for index, name in enumerate(worst)}
        recall = 100 * np.asarray(details[0]["recall"])
        for name, colour in colours.items():
            every = 100 * np.array([detail["precision"][name] for detail in details])  # (S, 101)
            if len(every) > 1:
                curves.plot(recall, every.T, linewidth=0.8, alpha=0.35, color=colour)
            curves.plot(recall, every.mean(axis=0), linewidth=2.2, color=colour, label=name)
        curves.set(xlabel="recall (%)", ylabel="precision (%)", xlim=(0, 101), ylim=(0, 101))
        _areas(areas, details, order, colours)
        style.legend(fig, columns=4)
    else:
        style.nothing(curves, "no finished run" if not runs else "no object to find")
        areas.set_visible(False)
    fewer = f" The {LINES} classes with the lowest area are drawn." if len(classes) > LINES else ""
    return fig, (
        f"Left: precision at each recall at an IoU of 0.5; thin: single runs ({material.n_runs([entry])}); bold: their "
        f"mean.{fewer} Right: average precision, mean and 95 % t interval over seeds alone; large: over IoU 0.5 to "
        "0.95; small: at 0.5."
    )


def _percentages(details: Sequence[Mapping[str, Any]], name: str, metric: str) -> list[float]:
    return [100 * detail["by_class"][name][metric] for detail in details]


def _areas(ax: Axes, details: Sequence[Mapping[str, Any]], order: Sequence[str], colours: Mapping[str, str]) -> None:
    for row, name in enumerate(order):
        colour = colours.get(name, style.SOFT)
        for metric, size, aside in (("AP", 8, 0.0), ("AP50", 5, 0.25)):
            summary = student(_percentages(details, name, metric), 0.0, 100.0)
            marks.estimate(ax, summary, row + aside, colour, width=2, markersize=size)
    ax.set_yticks(range(len(order)), [style.wrapped(name, 20) for name in order])
    ax.set(xlabel="AP (large) and AP50 (small) (%)", xlim=(0, None))
    marks.without_rules(ax)


def draw_detections(material: Material, plot: Plot) -> Drawing:
    """Test images with objects, evenly spread, whatever their detections."""
    return _images(material, plot, _spread, "evenly spread over the test set")


def draw_misses(material: Material, plot: Plot) -> Drawing:
    """The test images with most objects missed, and of equal ones those with most wrong detections."""
    return _images(material, plot, _worst, "with most objects missed, then with most errors")


def _spread(images: Mapping[int, Judged]) -> list[int]:
    numbers = [number for number, image in sorted(images.items()) if image.objects]
    places = np.unique(np.linspace(0, len(numbers) - 1, min(SHOWN, len(numbers))).astype(int))
    return [numbers[place] for place in places]


def _worst(images: Mapping[int, Judged]) -> list[int]:
    faults = {number: (image.n_missed, _n_wrong(image)) for number, image in images.items()}
    worst = sorted((-missed, -wrong, number) for number, (missed, wrong) in faults.items() if missed or wrong)
    return [number for _, _, number in worst[:SHOWN]]


def _n_wrong(image: Judged) -> int:
    return sum(kind != "correct" for _, kind in image.detections)


def _images(material: Material, plot: Plot, choose: Callable[[Mapping[int, Judged]], list[int]], which: str) -> Drawing:
    (entry,) = members(material.study, plot)
    runs = material.finished(entry)
    if not (runs and material.scenes):
        return style.empty("no packed pictures" if runs else "no finished run", READING)
    pictures = BoxedPictures(material.scenes, material.scenes.with_name(ANNOTATIONS), entry.test)
    score = runs[0].detail()["errors"]["score"]
    images = judge(pictures.truth, runs[0].detections(), score)
    numbers = choose(images)
    if not numbers:
        return style.empty("no image to show", READING)
    least = "all detections, none of which is right"
    if score is not None:
        least = f"detections from a score of {100 * score:.0f} % on, where F1 is best"
    return _grid(numbers, images, pictures), f"Test images of the first seed, {which}; {least}. {READING}"


def _grid(numbers: Sequence[int], images: Mapping[int, Judged], pictures: BoxedPictures) -> Figure:
    """Pairs of panels, row by row; a row is as high as its highest picture needs."""
    names = {category["id"]: style.class_name(category["name"]) for category in pictures.truth["categories"]}
    rows = [numbers[start : start + ACROSS] for start in range(0, len(numbers), ACROSS)]
    scaled = {number: pictures.picture(number) for number in numbers}
    shapes = {number: picture.shape for number, (picture, _) in scaled.items()}
    ratios = [max(shapes[number][0] / shapes[number][1] for number in row) for row in rows]
    width = style.WIDTH / (2 * ACROSS)
    fig = Figure(figsize=(style.WIDTH, width * sum(ratios) + 0.3 * len(rows)))
    places = {"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0.03, "hspace": 0.14}
    axes = fig.subplots(len(rows), 2 * ACROSS, squeeze=False, gridspec_kw={**places, "height_ratios": ratios})
    for ax in axes.flat:
        ax.set_axis_off()
    for line, row in zip(axes, rows, strict=True):
        for place, number in enumerate(row):
            _pair(line[2 * place], line[2 * place + 1], images[number], *scaled[number], names)
    return fig


def _pair(there: Axes, answer: Axes, image: Judged, picture: Any, scale: float, names: Mapping[int, str]) -> None:
    for line, is_missed in image.objects:
        colour, dash = (style.WRONG, "--") if is_missed else (style.PALETTE[0], "-")
        _box(there, line["bbox"], scale, names[line["category_id"]], colour, linestyle=dash)
    for line, kind in reversed(image.detections):  # the likeliest on top
        text = f"{names[line['category_id']]} {100 * line['score']:.0f}"
        if kind == "correct":
            _box(answer, line["bbox"], scale, text, style.RIGHT)
        else:
            _box(answer, line["bbox"], scale, f"{text} ({ERRORS[kind][1]})", style.WRONG, below=True)
    missed = f"{len(image.objects)} there, {image.n_missed} missed"
    wrong = f"{len(image.detections)} found, {_n_wrong(image)} wrong"
    for ax, head in ((there, missed), (answer, wrong)):
        ax.imshow(picture, interpolation="nearest")
        ax.set_title(head, fontsize=7.5, fontweight="normal", color=style.SOFT, pad=2)


def _box(
    ax: Axes, box: Sequence[float], scale: float, text: str, colour: str, *, linestyle: str = "-", below: bool = False
) -> None:
    """A box with its text at the upper left corner, or at the lower one, where it hides no other."""
    x, y, width, height = (scale * value for value in box)
    x, y = x - 0.5, y - 0.5  # pixel centres lie at whole numbers
    ax.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.6, linestyle=linestyle))
    ax.text(
        x, y + height if below else max(y, 0), text, fontsize=6, color="white", va="bottom" if below else "top",
        ha="left", clip_on=True, bbox={"boxstyle": "square,pad=0.15", "fc": colour, "ec": "none", "alpha": 0.85},
    )  # fmt: skip
