"""Figures of generated images: examples of each set, and quality against the time that an image takes."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from florilegium.core.tables import read_table
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot
from florilegium.figures.style import Drawing
from florilegium.report.generated import Set, recognised, sets_of

CLASSES = 10  # shown at most
EACH = 2  # images of a class


def sources(material: Material) -> list[Path]:
    """The files that the figures of generated images are drawn from."""
    return [file for images in sets_of(material.study, material.runs) for file in images.files]


def draw_generated(material: Material, plot: Plot) -> Drawing:
    """A row a set: the first images of each class, from the first seed."""
    sets = list(sets_of(material.study, material.runs))
    if not sets:
        return style.empty("no generated images", "")
    fig = style.figure(0.3 + 0.95 * len(sets))
    axes = fig.subplots(len(sets), 1, squeeze=False)[:, 0]
    for ax, images in zip(axes, sets, strict=True):
        _strip(ax, images)
        ax.set_title(_name(material, images), fontsize=9)
    return fig, (
        f"The first {EACH} images of each class that were drawn; none was chosen. A row is one set of one generator, "
        "of its first seed."
    )


def _strip(ax: Axes, of: Set) -> None:
    images = np.load(of.folders[0] / "samples.npy", mmap_mode="r")
    labels = read_table(of.folders[0] / "samples.csv")["class"]
    classes = list(dict.fromkeys(labels))[:CLASSES]
    side = images.shape[1]
    gap = max(1, side // 16)
    width = EACH * (side + gap) + 2 * gap
    strip = np.full((side, len(classes) * width, 3), 255, np.uint8)
    for number, name in enumerate(classes):
        for place, row in enumerate(np.flatnonzero(labels == name)[:EACH]):
            left = number * width + place * (side + gap)
            strip[:, left : left + side] = images[row]
    ax.imshow(strip, interpolation="nearest")
    names = [style.class_name(name).replace("_", "\n") for name in classes]
    ax.set_xticks([(n + 0.5) * width - 1.5 * gap for n in range(len(classes))], names, fontsize=7.5)
    ax.tick_params(length=0)
    ax.set_yticks([])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _name(material: Material, images: Set) -> str:
    return f"{material.label(images.entry)}: {images.name.replace('_', ' ')}"


def draw_recognised(material: Material, plot: Plot) -> Drawing:
    """The share of images that a judge recognises, against the seconds that one takes to draw."""
    sets = [s for s in sets_of(material.study, material.runs) if s.entry.samples and s.entry.samples.judge]
    if not sets:
        return style.empty("no generated images", "")
    fig = style.figure(3.8)
    ax = fig.subplots()
    for number, images in enumerate(sets):
        mean, low, high = recognised(images.judged())
        seconds = float(np.mean([1 / cost["images_per_second"] for cost in images.costs()]))
        label, summary = _name(material, images), (100 * mean, 100 * low, 100 * high)
        marks.estimate(ax, summary, seconds, style.colour(number), upright=True, label=label)
    ax.set_xscale("log")
    ax.margins(x=0.15)
    ax.set(xlabel="seconds an image", ylabel="recognised by a classifier\nof real images (%)", ylim=(0, 100))
    style.legend(fig)
    entries = list({s.entry.key: s.entry for s in sets}.values())
    return fig, (
        f"Dots: mean over {material.n_seeds(entries)}; bars: 95 % interval (over seeds; of one: Wilson's over its "
        "images). Seconds are those of the hardware that drew them. An image that is recognised need not be new: the "
        "table counts copies."
    )
