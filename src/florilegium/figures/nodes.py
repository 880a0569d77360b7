"""Figures of heads of attention over nodes: what quarters attend to, by image and by head, and whether it changes."""

from pathlib import Path

from matplotlib.figure import Figure

from florilegium.explanation.attended_nodes import FILES, AttendedNodes
from florilegium.figures import marks as gallery
from florilegium.figures import style
from florilegium.figures.attention import either
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, attentive
from florilegium.report.pictures_nodes import (
    NUMBER_NOTE,
    draw_image,
    draw_map,
    largest_in,
    node_note,
    numbers,
    with_mean,
)
from florilegium.report.study import Entry

TALLEST = 1.25  # inches of a row: four squares need no more
PANELS = {
    "entropy_share": ("Entropy of a row", "share of log N"),
    "between_queries": ("From node to node", "part of the weight"),
    "between_images": ("From image to image", "part of the weight"),
    "same_first": ("One node first for all", "share of images"),
}


def folders(material: Material) -> dict[str, tuple[Entry, Path]]:
    """Where lies what was seen of each arm's first seed, by the arm's name for people."""
    return gallery.folders(material, attentive(material.study, "nodes"), "attention", FILES[0])


def sources(material: Material) -> list[Path]:
    """The files that the figures of nodes are drawn from."""
    return [folder / file for _, folder in folders(material).values() for file in FILES]


def attended_of(material: Material) -> dict[str, AttendedNodes]:
    return {name: AttendedNodes.load(folder) for name, (_, folder) in folders(material).items()}


def draw_attention_nodes(material: Material, figure: Planned) -> Figure:
    """A row an arm, a column a test image: the mean over heads."""
    found = attended_of(material)
    if not found:
        return gallery.empty(material, figure)
    columns = max(4, *(len(attended.images) for attended in found.values()))
    fig = style.figure((len(found) + 1) * min(gallery.row_height(columns, 0.1), TALLEST))
    grid = fig.subplots(len(found) + 1, columns, squeeze=False)
    largest = largest_in(with_mean(weights)[0] for a in found.values() for weights in a.maps)
    for ax, image in zip(grid[0], next(iter(found.values())).images, strict=False):
        draw_image(ax, image)
    gallery.name_row(grid[0][0], "test images")
    for row, (name, attended) in zip(grid[1:], found.items(), strict=True):
        for ax, weights in zip(row, attended.maps, strict=False):
            draw_map(ax, with_mean(weights)[0], largest)
        gallery.name_row(row[0], name)
    for ax in fig.axes:
        ax.set_axis_on() if ax.images else ax.set_axis_off()
    note = node_note([*found.values()], largest)
    style.frame(fig, material.study, figure.question, f"First seed, mean over heads. {note}")
    return fig


def draw_attention_heads(material: Material, figure: Planned) -> Figure:
    """A row an arm, a column a head: the mean over images, and numbers under it."""
    found = attended_of(material)
    if not found:
        return gallery.empty(material, figure)
    columns = max(4, *(len(attended.mean) for attended in found.values()))
    fig = style.figure(len(found) * gallery.row_height(columns, 0.6))
    largest = largest_in(attended.mean for attended in found.values())
    for row, (name, attended) in zip(
        fig.subplots(len(found), columns, squeeze=False), found.items(), strict=True
    ):
        for ax, weights, head in zip(row, attended.mean, attended.table.to_dict("records"), strict=False):
            draw_map(ax, weights.astype(float), largest)
            ax.set_title(f"head {head['head']}", fontsize=7.5, fontweight="normal", loc="center")
            ax.set_xlabel(numbers(head), fontsize=7)
        for ax in row[len(attended.mean) :]:
            ax.set_axis_off()
        gallery.name_row(row[0], name)
    images = either(attended.table["n_images"].iloc[0] for attended in found.values())
    note = f"{node_note([*found.values()], largest)} {NUMBER_NOTE.format(images=images)}"
    style.frame(fig, material.study, figure.question, f"First seed, means over {images} test images. {note}")
    return fig


def draw_attention_change(material: Material, figure: Planned) -> Figure:
    """A row an arm, a panel a number: a dot a head, a bar their mean."""
    found = attended_of(material)
    if not found:
        return gallery.empty(material, figure)
    fig = style.figure(1.2 + 0.36 * len(found))
    axes = fig.subplots(1, len(PANELS), sharey=True)
    rows = range(len(found))
    for ax, (column, (title, unit)) in zip(axes, PANELS.items(), strict=True):
        for row, attended in zip(rows, found.values(), strict=True):
            heads = attended.table[column]
            ax.plot(heads, [row] * len(heads), "o", markersize=4, alpha=0.4, color=style.colour(0), mew=0)
            ax.plot(heads.mean(), row, "|", markersize=15, mew=2.2, color=style.colour(1))
        ax.set_title(title, fontsize=9)
        ax.set_xlabel(unit)
        ax.set_xlim(-0.03, 1.03 if column in ("entropy_share", "same_first") else None)
    axes[0].set_yticks(rows, [style.wrapped(name, 30) for name in found])
    axes[0].set_ylim(len(found) - 0.5, -0.5)
    images = either(attended.table["n_images"].iloc[0] for attended in found.values())
    style.frame(
        fig,
        material.study,
        figure.question,
        f"Dots: heads; bars: their mean; first seed, over {images} test images. Static attention has all nodes take "
        "most from the same node in every image (Brody et al. 2022, definition 3.1), as graph attention must whose "
        "activation rises throughout; weight that moves is the total variation from the mean row of the image, and from "
        "the mean over images.",
    )
    return fig
