"""Attention of one network in pictures: maps of a head, and rollouts over images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from florilegium.explanation.attended import Attended
from florilegium.report import style

MAP_NOTE = (
    "Each row of a map is a token that asks, each column one that it attends to{first}; white is 0, the darkest "
    "red the map's own largest weight (max). Entropy: mean over rows, as a share of log N of uniform attention; "
    "diagonal: mean weight of a token on itself, 1 / N when uniform (here N = {tokens}, 1 / N = {even:.3f}). Both are "
    "means over {images} test images; the map is of the first one."
)
ROLLOUT_NOTE = (
    "Attention rollout (Abnar and Zuidema 2020): heads averaged, half of each block its residual connection, blocks "
    "multiplied. Bright: much of the answer comes from there; the scale is each picture's own. Numbers: the "
    "least and the most that a patch gives, 1 being an even share."
)
DIMMEST = 0.85  # how much of the light is taken from the patch that gives least


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


def map_note(shown: list[Attended]) -> str:
    """How to read maps; names N where all have the same, and the first tokens."""
    tokens, images = (
        [*dict.fromkeys(values)] for values in ([len(a.maps[0]) for a in shown], [_images(a) for a in shown])
    )
    prefix = int(shown[0].prefix)
    first = (
        f" ({'the class token first, then ' if prefix == 1 else ''}the patches row by row)"
        if prefix < 2
        else ""
    )
    return MAP_NOTE.format(
        first=first, tokens=tokens[0], even=1 / tokens[0], images=" or ".join(map(str, sorted(images)))
    )


def _images(attended: Attended) -> int:
    return int(attended.table["n_images"].iloc[0])


def draw_maps(axes: NDArray[np.object_], attended: Attended) -> None:
    """A head's map at each block, one an axes; axes that are left over are hidden."""
    for ax in axes[len(attended.blocks) :]:
        ax.set_axis_off()
    for ax, block, weights in zip(axes, attended.blocks, attended.maps, strict=False):
        numbers = attended.numbers(block)
        ax.imshow(weights.astype(np.float32), cmap="Reds", vmin=0, vmax=float(weights.max()))
        ax.set_title(
            f"block {block}\nentropy {numbers['entropy_share']:.2f}  diagonal {numbers['diagonal']:.3f}  "
            f"max {float(weights.max()):.2f}",
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
