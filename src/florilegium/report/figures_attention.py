"""Figures of attention: maps of a head by arm and block, its sharpness over depth, and rollouts."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from florilegium.explanation.attended import FILES, Attended
from florilegium.figures import marks as gallery
from florilegium.figures import style
from florilegium.figures.attention import (
    ROLLOUT_NOTE,
    draw_images,
    draw_maps,
    draw_rollouts,
    either,
    images_measured,
    map_note,
)
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, attentive
from florilegium.report.study import Entry

FLOOR = 1e-4  # of the diagonal's axis


def folders(material: Material) -> dict[str, tuple[Entry, Path]]:
    """Where lies what was seen of each arm's first seed, by the arm's name for people."""
    return gallery.folders(material, attentive(material.study, "tokens"), "attention", FILES[0])


def sources(material: Material) -> list[Path]:
    """The files that the figures of attention are drawn from."""
    return [folder / file for _, folder in folders(material).values() for file in FILES]


def attended_of(material: Material) -> dict[str, tuple[Entry, Attended]]:
    return {name: (entry, Attended.load(folder)) for name, (entry, folder) in folders(material).items()}


def draw_attention_maps(material: Material, figure: Planned) -> Figure:
    """A row an arm, a column a block: the weights of one head for the first test image."""
    found = attended_of(material)
    if not found:
        return gallery.empty(material, figure)
    shown = [attended for _, attended in found.values()]
    columns = max(2, *(len(attended.blocks) for attended in shown))
    fig = style.figure(len(found) * gallery.row_height(columns, 0.45))
    grid = fig.subplots(len(found), columns, squeeze=False)
    for row, (name, attended) in zip(grid, zip(found, shown, strict=True), strict=True):
        draw_maps(row, attended)
        gallery.name_row(row[0], name)
    heads = either(attended.head for attended in shown)
    style.frame(fig, material.study, figure.question, f"Head {heads}, first seed. {map_note(shown)}")
    return fig


def draw_attention_depth(material: Material, figure: Planned) -> Figure:
    """Entropy share and diagonal against the block, one colour an arm, a dot a head."""
    found = attended_of(material)
    if not found:
        return gallery.empty(material, figure)
    fig = style.figure(3.4)
    axes = dict(zip(("entropy_share", "diagonal"), fig.subplots(1, 2), strict=True))
    for index, (name, (_, attended)) in enumerate(found.items()):
        table = attended.table
        for column, ax in axes.items():
            heads = table[column].clip(lower=FLOOR)
            ax.plot(table["block"], heads, "o", markersize=3.5, alpha=0.35, color=style.colour(index), mew=0)
            mean = table.groupby("block")[column].mean().clip(lower=FLOOR)
            ax.plot(
                mean.index, mean, linewidth=2.2, color=style.colour(index), linestyle=style.dashes(index),
                label=style.wrapped(name, 64) if column == "diagonal" else None,
            )  # fmt: skip
    even = sorted({float(attended.table["diagonal_uniform"].iloc[0]) for _, attended in found.values()})
    _depth_axes(axes["entropy_share"], "Entropy of a row", "share of log N", [1.0])
    _depth_axes(axes["diagonal"], "Weight of a token on itself", "mean over rows (log scale)", even)
    axes["diagonal"].set_yscale("log")
    axes["diagonal"].yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes["diagonal"].yaxis.set_major_formatter("{x:g}")
    axes["diagonal"].yaxis.set_minor_locator(NullLocator())
    style.legend(fig)
    images = images_measured(attended for _, attended in found.values())
    style.frame(
        fig,
        material.study,
        figure.question,
        f"Dots: heads; lines: their mean; first seed, means over {images}. Grey: "
        "uniform attention, whose entropy is log N and whose diagonal is 1/N for N tokens. Low entropy is "
        "sparse attention; a diagonal near 1 looks at nothing but the token itself.",
    )
    return fig


def draw_attention_rollout(material: Material, figure: Planned) -> Figure:
    """A row an arm, a column a test image, dimmed where little of the answer comes from."""
    found = attended_of(material)
    if not found:
        return gallery.empty(material, figure)
    datasets = list(dict.fromkeys(entry.dataset for entry, _ in found.values()))
    columns = max(2, *(len(attended.images) for _, attended in found.values()))
    fig = style.figure((len(found) + len(datasets)) * gallery.row_height(columns, 0.3))
    rows = iter(fig.subplots(len(found) + len(datasets), columns, squeeze=False))
    for dataset in datasets:
        of_dataset = {name: a for name, (entry, a) in found.items() if entry.dataset == dataset}
        first = next(rows)
        draw_images(first, next(iter(of_dataset.values())))
        gallery.name_row(first[0], f"test images of {dataset}")
        for (name, attended), row in zip(of_dataset.items(), rows, strict=False):
            draw_rollouts(row, attended)
            gallery.name_row(row[0], name)
    style.frame(fig, material.study, figure.question, f"First seed. {ROLLOUT_NOTE}")
    return fig


def _depth_axes(ax: Axes, title: str, unit: str, even: list[float]) -> None:
    ax.set_title(title)
    ax.set_xlabel("block")
    ax.set_ylabel(unit)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    for value in even:
        ax.axhline(value, color=style.SOFT, linewidth=1, linestyle=":")
