"""Attention of transformers' tokens in pictures: of one run, and of all arms of a study together."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from florilegium.explanation.records import AttentionRecord
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, with_tokens
from florilegium.figures.style import Drawing
from florilegium.report.study import Entry

MAP_NOTE = (
    "Each row of a map is a token that asks, each column one that it attends to: a class, distillation or register "
    "token, where there are any, then the patches row by row. The colour goes with the root of the weight, from 0 to "
    "the map's own largest (max). Entropy: mean over rows, as a share of log N, that of uniform attention; diagonal: "
    "mean weight of a token on itself, 1/N when uniform (N = {tokens}, 1/N = {even}). Both are means over {images}; "
    "the map is of the first one."
)
ROLLOUT_NOTE = (
    "Attention rollout (Abnar and Zuidema 2020): heads averaged, half of each block its residual connection, blocks "
    "multiplied. Bright: much of the answer comes from there; the scale is each picture's own. Numbers: the least and "
    "the most that a patch gives, 1 being an even share."
)
DIMMEST = 0.8  # share of the light that is taken from the patch that gives least
FLOOR = 1e-4  # of the diagonal's axis


# Of one run


def draw(attended: AttentionRecord, folder: Path, is_demo: bool, place: str) -> Iterator[Path]:
    """Write `maps.png` and `rollout.png` of the run that `place` names into `folder`. Yields paths."""
    question = f"What head {attended.head} attends to: {place}"
    yield style.write(folder / "maps.png", question, partial(_maps, attended), is_demo=is_demo)
    question = f"Where the answer comes from: {place}"
    yield style.write(folder / "rollout.png", question, partial(_rollouts, attended), is_demo=is_demo)


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
    """The explanation of the maps of these networks."""
    tokens = [len(attended.maps[0]) for attended in runs]
    even = either(f"{1 / n:.3f}" for n in tokens)
    return MAP_NOTE.format(tokens=either(tokens), even=even, images=images_measured(runs))


def images_measured(runs: Iterable[AttentionRecord]) -> str:
    """The number of test images that the numbers of these networks are means over."""
    return f"{either(attended.table['n_images'].iloc[0] for attended in runs)} test images"


def either(values: Iterable[object]) -> str:
    """`100`, or `34 or 100` where they differ."""
    return " or ".join(dict.fromkeys(map(str, values)))


def add_maps(axes: Sequence[Axes], attended: AttentionRecord) -> None:
    """A head's map at each block, one an axes; axes that are left over are hidden."""
    for ax, (block, weights) in marks.each(axes, zip(attended.blocks, attended.maps, strict=True)):
        numbers = attended.numbers(block)
        largest = float(weights.max())
        ax.imshow(weights.astype(np.float32), cmap="Reds", norm=PowerNorm(0.5, vmin=0, vmax=largest))
        entropy, diagonal = numbers["entropy_share"], numbers["diagonal"]
        text = f"block {block} (max {largest:.2f})\nentropy {entropy:.2f}  diagonal {diagonal:.3f}"
        marks.heading(ax, text, linespacing=1.35)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True))
        ax.tick_params(labelsize=7)
        marks.framed(ax)


def add_images(axes: Sequence[Axes], attended: AttentionRecord) -> None:
    """The shown images as the network is fed them, one an axes."""
    for ax, image in marks.each(axes, attended.images):
        marks.picture(ax, image)


def add_rollouts(axes: Sequence[Axes], attended: AttentionRecord) -> None:
    """The shown images, dimmed where little of the answer comes from, one an axes."""
    add_images(axes, attended)
    for ax, rollout in zip(axes, attended.rollout, strict=False):
        share = rollout.astype(np.float64) / rollout.mean(dtype=np.float64)  # 1: an even share
        least, most = share.min(), share.max()
        veil = np.zeros((*share.shape, 4))  # black, of this opacity
        veil[..., 3] = DIMMEST * (most - share) / max(most - least, 1e-12)
        marks.overlay(ax, veil, len(attended.images[0]), "bilinear")
        marks.heading(ax, f"{least:.2f} to {most:.2f}")


# Of all arms


def folders(material: Material) -> dict[str, tuple[Entry, Path]]:
    """The folder of the attention of each arm's first seed, by the arm's name for people."""
    return material.first_seeds(with_tokens(material.study), "attention", AttentionRecord.FILES[0])


def sources(material: Material) -> list[Path]:
    """The files that the figures of attention are drawn from."""
    return [folder / file for _, folder in folders(material).values() for file in AttentionRecord.FILES]


def attended_of(material: Material) -> dict[str, AttentionRecord]:
    return {name: AttentionRecord.load(folder) for name, (_, folder) in folders(material).items()}


def draw_attention_maps(material: Material, plot: Plot) -> Drawing:
    """A row an arm, a column a block: the weights of one head for the first test image."""
    arms = attended_of(material)
    if not arms:
        return style.empty()
    columns = max(2, *(len(attended.blocks) for attended in arms.values()))
    fig, grid = marks.picture_rows(len(arms), columns, 0.45)
    for row, (name, attended) in zip(grid, arms.items(), strict=True):
        add_maps(row, attended)
        marks.name_row(row[0], name)
    heads = either(attended.head for attended in arms.values())
    return fig, f"Head {heads}, first seed. {map_note([*arms.values()])}"


def draw_attention_depth(material: Material, plot: Plot) -> Drawing:
    """Entropy share and diagonal against the block, one colour an arm, a dot a head."""
    arms = attended_of(material)
    if not arms:
        return style.empty()
    fig = style.figure(3.4)
    entropy, diagonal = fig.subplots(1, 2)
    for index, (name, attended) in enumerate(arms.items()):
        label = style.wrapped(name, 64)
        for ax, column in ((entropy, "entropy_share"), (diagonal, "diagonal")):
            heads = attended.table[column].clip(lower=FLOOR)
            ax.plot(attended.table["block"], heads, "o", markersize=3.5, alpha=0.35, color=style.colour(index), mew=0)
            mean = attended.table.groupby("block")[column].mean().clip(lower=FLOOR)
            ax.plot(mean.index, mean, linewidth=2.2, label=label if ax is diagonal else None, **style.line(index))
    even = sorted({float(attended.table["diagonal_uniform"].iloc[0]) for attended in arms.values()})
    _depth_axes(entropy, "Entropy of a row", "share of log N", [1.0])
    _depth_axes(diagonal, "Weight of a token on itself", "mean over rows (log scale)", even)
    diagonal.set_yscale("log")
    diagonal.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    diagonal.yaxis.set_major_formatter("{x:g}")
    diagonal.yaxis.set_minor_locator(NullLocator())
    style.legend(fig)
    return fig, (
        f"Dots: heads; lines: their mean; first seed, means over {images_measured(arms.values())}. Grey: uniform "
        "attention, whose entropy is log N and whose diagonal is 1/N for N tokens. Low entropy is sparse attention; a "
        "diagonal near 1 looks at nothing but the token itself."
    )


def _depth_axes(ax: Axes, title: str, unit: str, even: list[float]) -> None:
    ax.set(title=title, xlabel="block", ylabel=unit)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    for value in even:
        ax.axhline(value, color=style.SOFT, linewidth=1, linestyle=":")


def draw_attention_rollout(material: Material, plot: Plot) -> Drawing:
    """A row an arm, a column a test image, dimmed where little of the answer comes from."""
    arms = attended_of(material)
    if not arms:
        return style.empty()
    by_dataset: dict[str, list[str]] = {}
    for name, (entry, _) in folders(material).items():
        by_dataset.setdefault(entry.dataset, []).append(name)
    columns = max(2, *(len(attended.images) for attended in arms.values()))
    fig, grid = marks.picture_rows(len(arms) + len(by_dataset), columns, 0.3)
    rows = iter(grid)
    for dataset, names in by_dataset.items():
        first = next(rows)
        add_images(first, arms[names[0]])
        marks.name_row(first[0], f"test images of {dataset}")
        for name, row in zip(names, rows, strict=False):
            add_rollouts(row, arms[name])
            marks.name_row(row[0], name)
    return fig, f"First seed. {ROLLOUT_NOTE}"
