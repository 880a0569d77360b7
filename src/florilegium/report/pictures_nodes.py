"""What the nodes of one network's head of attention attend to, in pictures."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from florilegium.explanation.attended_nodes import AttendedNodes
from florilegium.figures import style

NODE_NOTE = (
    "Each quarter of a map belongs to the quarter of the image that asks, and is itself a small map of the image: red "
    "where more is taken from than an even share ({even:.2f}), blue where less. The deepest red is {largest:.2f}."
)
NUMBER_NOTE = (
    "S: entropy of a row as a share of that of uniform attention. Q: part of the weight that moves with the node that "
    "asks, 0 where all ask alike; I: with the image, 0 where all images are treated alike. 1st: of {images} test images, those in which all nodes "
    "take most from the same node."
)
COLUMN = 0.85  # inches


def draw(attended: AttendedNodes, folder: Path, label: style.Label, place: str) -> Iterator[Path]:
    """Write `nodes.png` of one run into `folder`; `place` says which run. Yields its path."""
    path = folder / "nodes.png"
    with style.applied():
        style.save(_nodes(attended, label, place), path)
    yield path


def _nodes(attended: AttendedNodes, label: style.Label, place: str) -> Figure:
    """A row a shown image, a column a head; at last the mean over all images."""
    count, heads = attended.maps.shape[:2]
    largest = largest_of([attended])
    fig = style.figure((count + 1) * COLUMN + 0.9, max(style.WIDTH, (heads + 2) * COLUMN))
    grid = fig.subplots(count + 1, heads + 2, squeeze=False)
    for row, image, weights in zip(grid, attended.images, attended.maps, strict=False):
        draw_image(row[0], image)
        for ax, map_ in zip(row[1:], with_mean(weights), strict=True):
            draw_map(ax, map_, largest)
    grid[-1][0].set_axis_off()
    for ax, map_ in zip(grid[-1][1:], with_mean(attended.mean), strict=True):
        draw_map(ax, map_, largest)
    for ax, name in zip(grid[0][1:], ["mean", *(f"head {head}" for head in range(heads))], strict=True):
        ax.set_title(name, fontsize=7.5, fontweight="normal", loc="center")
    for ax, row in zip(grid[-1][2:], attended.table.to_dict("records"), strict=True):
        ax.set_xlabel(numbers(row), fontsize=6.5)
    images = int(attended.table["n_images"].iloc[0])
    grid[-1][1].set_ylabel(f"{images} images", fontsize=7.5)
    note = f"{node_note([attended], largest)} Last row: means over {images} images. {NUMBER_NOTE.format(images=images)}"
    style.frame(fig, label, f"What each quarter attends to: {place}", note)
    return fig


def numbers(row: Mapping[str, float]) -> str:
    """A head's numbers, as `NUMBER_NOTE` explains them."""
    moved = f"Q {row['between_queries']:.2f}  I {row['between_images']:.2f}"
    return f"S {row['entropy_share']:.2f}\n{moved}\n1st {100 * row['same_first']:.0f} %"


def node_note(shown: Sequence[AttendedNodes], largest: float) -> str:
    """How to read the maps of these networks, whose darkest square stands for `largest`."""
    even = shown[0].table["diagonal_uniform"].iloc[0]
    return NODE_NOTE.format(largest=largest, even=even)


def largest_of(shown: Iterable[AttendedNodes]) -> float:
    """The largest weight in any of their maps, so that one scale holds for all."""
    return largest_in(weights for attended in shown for weights in (attended.maps, attended.mean))


def largest_in(maps: Iterable[NDArray[np.floating]]) -> float:
    """The largest weight of all, and at least twice an even share: nearly even attention is to look so."""
    return max(max(float(weights.max()), float(2 / weights.shape[-1])) for weights in maps)


def with_mean(weights: NDArray[np.float16]) -> NDArray[np.float64]:
    """The mean over heads, then the heads, (1 + heads, N, N), of weights (heads, N, N)."""
    exact = weights.astype(np.float64)
    return np.concatenate([exact.mean(0, keepdims=True), exact])


def draw_map(ax: Axes, weights: NDArray[np.float64], largest: float) -> None:
    """Weights (N, N) of g x g nodes, the row of each node as a g x g map at the node's own place."""
    side = round(len(weights) ** 0.5)
    tiles = weights.reshape(side, side, side, side).transpose(0, 2, 1, 3)  # asking row, its map's row, ...
    even = 1 / len(weights)
    ax.imshow(tiles.reshape(side**2, side**2), cmap="RdBu_r", vmin=2 * even - largest, vmax=largest)
    for edge in range(side - 1):
        place = (edge + 1) * side - 0.5
        ax.axhline(place, color=style.SOFT, linewidth=1.2)
        ax.axvline(place, color=style.SOFT, linewidth=1.2)
    _bare(ax)


def draw_image(ax: Axes, image: NDArray[np.uint8]) -> None:
    """An image as the network is fed it."""
    ax.imshow(image, interpolation="nearest")
    _bare(ax)


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set(visible=True, linewidth=0.6)
