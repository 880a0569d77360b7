"""Attention over the nodes of a ResNet in pictures: of one run, and of all arms of a study together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from florilegium.explanation.records import NodeRecord
from florilegium.figures import marks, style
from florilegium.figures.attention import either
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, with_nodes
from florilegium.figures.style import Drawing
from florilegium.report.study import Entry

NODE_NOTE = (
    "Each quarter of a map belongs to the quarter of the image that asks, and is itself a small map of the image: red "
    "where more is taken from than an even share ({even:.2f}), blue where less. The deepest red is {largest:.2f}."
)
NUMBER_NOTE = (
    "S: entropy of a row as a share of that of uniform attention. Q: part of the weight that moves with the node that "
    "asks, 0 where all ask alike; I: with the image, 0 where all images are treated alike. 1st: of {images} test "
    "images, those in which all nodes take most from the same node."
)
COLUMN = 0.85  # inches
TALLEST = 1.25  # inches of a row: four squares need no more
PANELS = {
    "entropy_share": ("Entropy of a row", "share of log N"),
    "between_queries": ("From node to node", "part of the weight"),
    "between_images": ("From image to image", "part of the weight"),
    "same_first": ("One node first for all", "share of images"),
}


# Of one run


def draw(attended: NodeRecord, folder: Path, is_demo: bool, place: str) -> Iterator[Path]:
    """Write `nodes.png` of the run that `place` names into `folder`. Yields its path."""
    question = f"What each quarter attends to: {place}"
    yield style.write(folder / "nodes.png", question, partial(_nodes, attended), is_demo=is_demo)


def _nodes(attended: NodeRecord) -> Drawing:
    """A row an image, a column a head; in the last row the mean over all images."""
    count, heads = attended.maps.shape[:2]
    images = int(attended.table["n_images"].iloc[0])
    largest = largest_in([attended.maps, attended.mean])
    fig = style.figure((count + 1) * COLUMN + 0.9, max(style.WIDTH, (heads + 2) * COLUMN))
    grid = fig.subplots(count + 1, heads + 2, squeeze=False)
    for row, image in zip(grid, attended.images, strict=False):
        marks.picture(row[0], image)
    grid[-1][0].set_axis_off()
    for row, weights in zip(grid, [*attended.maps, attended.mean], strict=True):
        for ax, map_ in zip(row[1:], with_mean(weights), strict=True):
            add_map(ax, map_, largest)
    for ax, name in zip(grid[0][1:], ["mean", *(f"head {head}" for head in range(heads))], strict=True):
        marks.heading(ax, name)
    for ax, row in zip(grid[-1][2:], attended.table.to_dict("records"), strict=True):
        ax.set_xlabel(numbers(row), fontsize=6.5)
    grid[-1][1].set_ylabel(f"{images} images", fontsize=7.5)
    note = f"{node_note([attended], largest)} Last row: means over {images} images. {NUMBER_NOTE.format(images=images)}"
    return fig, note


def numbers(row: Mapping[str, float]) -> str:
    """A head's numbers, as `NUMBER_NOTE` explains them."""
    moved = f"Q {row['between_queries']:.2f}  I {row['between_images']:.2f}"
    return f"S {row['entropy_share']:.2f}\n{moved}\n1st {100 * row['same_first']:.0f} %"


def node_note(runs: Sequence[NodeRecord], largest: float) -> str:
    """The explanation of the maps of these networks, whose darkest square stands for `largest`."""
    return NODE_NOTE.format(largest=largest, even=runs[0].table["diagonal_uniform"].iloc[0])


def largest_in(maps: Iterable[NDArray[np.floating]]) -> float:
    """The largest weight of all, and at least twice an even share: nearly even attention is to look so."""
    return max(max(float(weights.max()), float(2 / weights.shape[-1])) for weights in maps)


def with_mean(weights: NDArray[np.float16]) -> NDArray[np.float64]:
    """The mean over heads, then the heads, (1 + heads, N, N), of weights (heads, N, N)."""
    exact = weights.astype(np.float64)
    return np.concatenate([exact.mean(0, keepdims=True), exact])


def add_map(ax: Axes, weights: NDArray[np.float64], largest: float) -> None:
    """Weights (N, N) of g x g nodes, the row of each node as a g x g map at the node's own place."""
    side = round(len(weights) ** 0.5)
    tiles = weights.reshape(side, side, side, side).transpose(0, 2, 1, 3)  # asking row, its map's row, ...
    even = 1 / len(weights)
    ax.imshow(tiles.reshape(side**2, side**2), cmap="RdBu_r", vmin=2 * even - largest, vmax=largest)
    for edge in range(side - 1):
        place = (edge + 1) * side - 0.5
        ax.axhline(place, color=style.SOFT, linewidth=1.2)
        ax.axvline(place, color=style.SOFT, linewidth=1.2)
    ax.set(xticks=[], yticks=[])
    marks.framed(ax)


# Of all arms


def attended_of(material: Material) -> dict[str, NodeRecord]:
    """The attention of each arm's first seed, by the arm's name for people."""
    return {name: NodeRecord.load(folder) for name, (_, folder) in _folders(material).items()}


def sources(material: Material) -> list[Path]:
    """The files that the figures of nodes are drawn from."""
    return [folder / file for _, folder in _folders(material).values() for file in NodeRecord.FILES]


def _folders(material: Material) -> dict[str, tuple[Entry, Path]]:
    return material.first_seeds(with_nodes(material.study), "attention", NodeRecord.FILES[0])


def draw_attention_nodes(material: Material, plot: Plot) -> Drawing:
    """A row an arm, a column a test image: the mean over heads."""
    arms = attended_of(material)
    if not arms:
        return style.empty()
    columns = max(4, *(len(attended.images) for attended in arms.values()))
    fig, (first, *rows) = marks.picture_rows(len(arms) + 1, columns, 0.1, TALLEST)
    largest = largest_in(with_mean(weights)[0] for a in arms.values() for weights in a.maps)
    for ax, image in zip(first, next(iter(arms.values())).images, strict=False):
        marks.picture(ax, image)
    marks.name_row(first[0], "test images")
    for row, (name, attended) in zip(rows, arms.items(), strict=True):
        for ax, weights in zip(row, attended.maps, strict=False):
            add_map(ax, with_mean(weights)[0], largest)
        marks.name_row(row[0], name)
    for ax in fig.axes:
        ax.set_axis_on() if ax.images else ax.set_axis_off()
    return fig, f"First seed, mean over heads. {node_note([*arms.values()], largest)}"


def draw_attention_heads(material: Material, plot: Plot) -> Drawing:
    """A row an arm, a column a head: the mean over images, and numbers under it."""
    arms = attended_of(material)
    if not arms:
        return style.empty()
    columns = max(4, *(len(attended.mean) for attended in arms.values()))
    fig, grid = marks.picture_rows(len(arms), columns, 0.6)
    largest = largest_in(attended.mean for attended in arms.values())
    for row, (name, attended) in zip(grid, arms.items(), strict=True):
        heads = attended.table.to_dict("records")
        for ax, (weights, head) in marks.each(row, zip(attended.mean, heads, strict=True)):
            add_map(ax, weights.astype(float), largest)
            marks.heading(ax, f"head {head['head']}")
            ax.set_xlabel(numbers(head), fontsize=7)
        marks.name_row(row[0], name)
    images = either(attended.table["n_images"].iloc[0] for attended in arms.values())
    note = f"{node_note([*arms.values()], largest)} {NUMBER_NOTE.format(images=images)}"
    return fig, f"First seed, means over {images} test images. {note}"


def draw_attention_change(material: Material, plot: Plot) -> Drawing:
    """A row an arm, a panel a number: a dot a head, a bar their mean."""
    arms = attended_of(material)
    if not arms:
        return style.empty()
    fig = style.figure(1.2 + 0.36 * len(arms))
    axes = fig.subplots(1, len(PANELS), sharey=True)
    for ax, (column, (title, unit)) in zip(axes, PANELS.items(), strict=True):
        for row, attended in enumerate(arms.values()):
            heads = attended.table[column]
            ax.plot(heads, [row] * len(heads), "o", markersize=4, alpha=0.4, color=style.colour(0), mew=0)
            ax.plot(heads.mean(), row, "|", markersize=15, mew=2.2, color=style.colour(1))
        ax.set_title(title, fontsize=9)
        ax.set(xlabel=unit, xlim=(-0.03, 1.03 if column in ("entropy_share", "same_first") else None))
    axes[0].set_yticks(range(len(arms)), [style.wrapped(name, 30) for name in arms])
    axes[0].set_ylim(len(arms) - 0.5, -0.5)
    images = either(attended.table["n_images"].iloc[0] for attended in arms.values())
    return fig, (
        f"Dots: heads; bars: their mean; first seed, over {images} test images. Static attention has all nodes take "
        "most from the same node in every image (Brody et al. 2022, definition 3.1), as graph attention must whose "
        "activation rises throughout; weight that moves is the total variation from the mean row of the image, and "
        "from the mean over images."
    )
