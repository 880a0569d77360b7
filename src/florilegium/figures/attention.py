"""Attention of transformers' tokens in pictures: of one run, and of all arms of a study together."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from florilegium.explanation.records import AttentionRecord
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, with_tokens
from florilegium.figures.style import Drawing
from florilegium.report.study import Entry

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
FLOOR = 1e-4  # of the diagonal's axis


def draw(attended: AttentionRecord, folder: Path, label: style.Label, place: str) -> Iterator[Path]:
    """Write `maps.png` and `rollout.png` of one run into `folder`; `place` says which run. Yields paths."""
    question = f"What head {attended.head} attends to: {place}"
    yield style.write(folder / "maps.png", label, question, lambda: _maps(attended))
    question = f"Where the answer comes from: {place}"
    yield style.write(folder / "rollout.png", label, question, lambda: _rollouts(attended))


def _maps(attended: AttentionRecord) -> Drawing:
    columns = max(len(attended.blocks), 2)
    fig = style.figure(0.5 + style.WIDTH / columns)
    add_maps(fig.subplots(1, columns), attended)
    return fig, map_note([attended])


def _rollouts(attended: AttentionRecord) -> Drawing:
    columns = max(len(attended.images), 2)
    fig = style.figure(0.4 + 2 * style.WIDTH / columns)
    grid = fig.subplots(2, columns, squeeze=False)
    add_images(grid[0], attended)
    add_rollouts(grid[1], attended)
    return fig, ROLLOUT_NOTE


def map_note(runs: Sequence[AttentionRecord]) -> str:
    """How to read the maps of these networks."""
    tokens = [len(attended.maps[0]) for attended in runs]
    even = either(f"{1 / n:.3f}" for n in tokens)
    return MAP_NOTE.format(tokens=either(tokens), even=even, images=images_measured(runs))


def images_measured(runs: Iterable[AttentionRecord]) -> str:
    """Over how many test images the numbers of these networks are means."""
    return f"{either(attended.table['n_images'].iloc[0] for attended in runs)} test images"


def either(values: Iterable[object]) -> str:
    """`100`, or `34 or 100` where they differ."""
    return " or ".join(dict.fromkeys(map(str, values)))


def add_maps(axes: NDArray[np.object_], attended: AttentionRecord) -> None:
    """A head's map at each block, one an axes; axes that are left over are hidden."""
    for ax in axes[len(attended.blocks) :]:
        ax.set_axis_off()
    for ax, block, weights in zip(axes, attended.blocks, attended.maps, strict=False):
        numbers = attended.numbers(block)
        largest = float(weights.max())
        ax.imshow(weights.astype(np.float32), cmap="Reds", norm=PowerNorm(0.5, vmin=0, vmax=largest))
        marks.heading(
            ax,
            f"block {block} (max {largest:.2f})\n"
            f"entropy {numbers['entropy_share']:.2f}  diagonal {numbers['diagonal']:.3f}",
            linespacing=1.35,
        )
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True))
        ax.tick_params(labelsize=7)
        marks.framed(ax)


def add_images(axes: NDArray[np.object_], attended: AttentionRecord) -> None:
    """The shown images as the network is fed them, one an axes."""
    for ax in axes[len(attended.images) :]:
        ax.set_axis_off()
    for ax, image in zip(axes, attended.images, strict=False):
        marks.picture(ax, image)


def add_rollouts(axes: NDArray[np.object_], attended: AttentionRecord) -> None:
    """The shown images, dimmed where little of the answer comes from, one an axes."""
    for ax in axes[len(attended.images) :]:
        ax.set_axis_off()
    for ax, image, rollout in zip(axes, attended.images, attended.rollout, strict=False):
        share = rollout.astype(np.float64) / rollout.mean(dtype=np.float64)  # 1: an even share
        least, most = share.min(), share.max()
        veil = np.zeros((*share.shape, 4))  # black, of this opacity
        veil[..., 3] = DIMMEST * (most - share) / max(most - least, 1e-12)
        side = len(image)
        marks.picture(ax, image)
        ax.imshow(veil, extent=(-0.5, side - 0.5, side - 0.5, -0.5), interpolation="bilinear")
        marks.heading(ax, f"{least:.2f} to {most:.2f}")


def folders(material: Material) -> dict[str, tuple[Entry, Path]]:
    """The folder of the attention of each arm's first seed, by the arm's name for people."""
    return material.first_seeds(with_tokens(material.study), "attention", AttentionRecord.FILES[0])


def sources(material: Material) -> list[Path]:
    """The files that the figures of attention are drawn from."""
    return [folder / file for _, folder in folders(material).values() for file in AttentionRecord.FILES]


def attended_of(material: Material) -> dict[str, tuple[Entry, AttentionRecord]]:
    return {name: (entry, AttentionRecord.load(folder)) for name, (entry, folder) in folders(material).items()}


def draw_attention_maps(material: Material, plot: Plot) -> Drawing:
    """A row an arm, a column a block: the weights of one head for the first test image."""
    arms = {name: attended for name, (_, attended) in attended_of(material).items()}
    if not arms:
        return style.empty()
    columns = max(2, *(len(attended.blocks) for attended in arms.values()))
    fig = style.figure(len(arms) * marks.row_height(columns, 0.45))
    grid = fig.subplots(len(arms), columns, squeeze=False)
    for row, (name, attended) in zip(grid, arms.items(), strict=True):
        add_maps(row, attended)
        marks.name_row(row[0], name)
    heads = either(attended.head for attended in arms.values())
    note = f"Head {heads}, first seed. {map_note([*arms.values()])}"
    return fig, note


def draw_attention_depth(material: Material, plot: Plot) -> Drawing:
    """Entropy share and diagonal against the block, one colour an arm, a dot a head."""
    arms = {name: attended for name, (_, attended) in attended_of(material).items()}
    if not arms:
        return style.empty()
    fig = style.figure(3.4)
    axes = dict(zip(("entropy_share", "diagonal"), fig.subplots(1, 2), strict=True))
    for index, (name, attended) in enumerate(arms.items()):
        table = attended.table
        for column, ax in axes.items():
            heads = table[column].clip(lower=FLOOR)
            ax.plot(table["block"], heads, "o", markersize=3.5, alpha=0.35, color=style.colour(index), mew=0)
            mean = table.groupby("block")[column].mean().clip(lower=FLOOR)
            ax.plot(
                mean.index, mean, linewidth=2.2, color=style.colour(index), linestyle=style.dashes(index),
                label=style.wrapped(name, 64) if column == "diagonal" else None,
            )  # fmt: skip
    even = sorted({float(attended.table["diagonal_uniform"].iloc[0]) for attended in arms.values()})
    _depth_axes(axes["entropy_share"], "Entropy of a row", "share of log N", [1.0])
    _depth_axes(axes["diagonal"], "Weight of a token on itself", "mean over rows (log scale)", even)
    axes["diagonal"].set_yscale("log")
    axes["diagonal"].yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes["diagonal"].yaxis.set_major_formatter("{x:g}")
    axes["diagonal"].yaxis.set_minor_locator(NullLocator())
    style.legend(fig)
    return fig, (
        f"Dots: heads; lines: their mean; first seed, means over {images_measured(arms.values())}. Grey: "
        "uniform attention, whose entropy is log N and whose diagonal is 1/N for N tokens. Low entropy is "
        "sparse attention; a diagonal near 1 looks at nothing but the token itself."
    )


def _depth_axes(ax: Axes, title: str, unit: str, even: list[float]) -> None:
    ax.set_title(title)
    ax.set_xlabel("block")
    ax.set_ylabel(unit)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    for value in even:
        ax.axhline(value, color=style.SOFT, linewidth=1, linestyle=":")


def draw_attention_rollout(material: Material, plot: Plot) -> Drawing:
    """A row an arm, a column a test image, dimmed where little of the answer comes from."""
    arms = attended_of(material)
    if not arms:
        return style.empty()
    datasets = list(dict.fromkeys(entry.dataset for entry, _ in arms.values()))
    columns = max(2, *(len(attended.images) for _, attended in arms.values()))
    n_rows = len(arms) + len(datasets)
    fig = style.figure(n_rows * marks.row_height(columns, 0.3))
    rows = iter(fig.subplots(n_rows, columns, squeeze=False))
    for dataset in datasets:
        of_dataset = {name: a for name, (entry, a) in arms.items() if entry.dataset == dataset}
        first = next(rows)
        add_images(first, next(iter(of_dataset.values())))
        marks.name_row(first[0], f"test images of {dataset}")
        for (name, attended), row in zip(of_dataset.items(), rows, strict=False):
            add_rollouts(row, attended)
            marks.name_row(row[0], name)
    return fig, f"First seed. {ROLLOUT_NOTE}"
