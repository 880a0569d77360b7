"""Attention of one network in pictures: maps of a head, and rollouts over images."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from florilegium.explanation.attended import Attended
from florilegium.figures import style

MAP_NOTE = (
    "Each row of a map is a token that asks, each column one that it attends to: a class, distillation "
    "or register token, where there are any, then the patches row by row. The colour goes with the root of the weight, from 0 to the map's own largest "
    "(max). Entropy: mean over rows, as a share of log N, that of uniform attention; diagonal: mean weight of a "
    "token on itself, 1/N when uniform (N = {tokens}, 1/N = {even}). Both are means over {images}; the map is of "
    "the first one."
)
ROLLOUT_NOTE = (
    "Attention rollout (Abnar and Zuidema 2020): heads averaged, half of each block its residual connection, blocks "
    "multiplied. Bright: much of the answer comes from there; the scale is each picture's own. Numbers: the "
    "least and the most that a patch gives, 1 being an even share."
)
DIMMEST = 0.8  # how much of the light is taken from the patch that gives least


def draw(attended: Attended, folder: Path, label: style.Label, place: str) -> Iterator[Path]:
    """Write `maps.png` and `rollout.png` of one run into `folder`; `place` says which run. Yields paths."""
    for name, drawing in (("maps", _maps), ("rollout", _rollouts)):
        path = folder / f"{name}.png"
        with style.applied():
            style.save(drawing(attended, label, place), path)
        yield path


def _maps(attended: Attended, label: style.Label, place: str) -> Figure:
    columns = max(len(attended.blocks), 2)
    fig = style.figure(0.5 + style.WIDTH / columns)
    draw_maps(fig.subplots(1, columns), attended)
    style.frame(fig, label, f"What head {attended.head} attends to: {place}", map_note([attended]))
    return fig


def _rollouts(attended: Attended, label: style.Label, place: str) -> Figure:
    columns = max(len(attended.images), 2)
    fig = style.figure(0.4 + 2 * style.WIDTH / columns)
    grid = fig.subplots(2, columns, squeeze=False)
    draw_images(grid[0], attended)
    draw_rollouts(grid[1], attended)
    style.frame(fig, label, f"Where the answer comes from: {place}", ROLLOUT_NOTE)
    return fig


def map_note(shown: Sequence[Attended]) -> str:
    """How to read the maps of these networks."""
    tokens = [len(attended.maps[0]) for attended in shown]
    return MAP_NOTE.format(
        tokens=either(tokens), even=either(f"{1 / n:.3f}" for n in tokens), images=images_measured(shown)
    )


def images_measured(shown: Iterable[Attended]) -> str:
    """Over how many test images the numbers of these networks are means."""
    return f"{either(attended.table['n_images'].iloc[0] for attended in shown)} test images"


def either(values: Iterable[object]) -> str:
    """`100`, or `34 or 100` where they differ."""
    return " or ".join(dict.fromkeys(map(str, values)))


def draw_maps(axes: NDArray[np.object_], attended: Attended) -> None:
    """A head's map at each block, one an axes; axes that are left over are hidden."""
    for ax in axes[len(attended.blocks) :]:
        ax.set_axis_off()
    for ax, block, weights in zip(axes, attended.blocks, attended.maps, strict=False):
        numbers = attended.numbers(block)
        largest = float(weights.max())
        ax.imshow(weights.astype(np.float32), cmap="Reds", norm=PowerNorm(0.5, vmin=0, vmax=largest))
        ax.set_title(
            f"block {block} (max {largest:.2f})\n"
            f"entropy {numbers['entropy_share']:.2f}  diagonal {numbers['diagonal']:.3f}",
            fontsize=7.5, fontweight="normal", loc="center", linespacing=1.35,
        )  # fmt: skip
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True))
        ax.tick_params(labelsize=7)
        _framed(ax)


def draw_images(axes: NDArray[np.object_], attended: Attended) -> None:
    """The shown images as the network is fed them, one an axes."""
    for ax in axes[len(attended.images) :]:
        ax.set_axis_off()
    for ax, image in zip(axes, attended.images, strict=False):
        _picture(ax, image)


def draw_rollouts(axes: NDArray[np.object_], attended: Attended) -> None:
    """The shown images, dimmed where little of the answer comes from, one an axes."""
    for ax in axes[len(attended.images) :]:
        ax.set_axis_off()
    for ax, image, rollout in zip(axes, attended.images, attended.rollout, strict=False):
        share = rollout.astype(np.float64) / rollout.mean(dtype=np.float64)  # 1: an even share
        least, most = share.min(), share.max()
        veil = np.zeros((*share.shape, 4))  # black, of this opacity
        veil[..., 3] = DIMMEST * (most - share) / max(most - least, 1e-12)
        side = len(image)
        _picture(ax, image)
        ax.imshow(veil, extent=(-0.5, side - 0.5, side - 0.5, -0.5), interpolation="bilinear")
        ax.set_title(f"{least:.2f} to {most:.2f}", fontsize=7.5, fontweight="normal", loc="center")


def _picture(ax: Axes, image: NDArray[np.uint8]) -> None:
    ax.imshow(image, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    _framed(ax)


def _framed(ax: Axes) -> None:
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set(visible=True, linewidth=0.6)
