"""Figures of attribution: which method finds the pixels that matter, arm by arm, and what their maps look like."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from florilegium.explanation.attributions import FILES, Attributions
from florilegium.figures import marks as gallery
from florilegium.figures import style
from florilegium.figures.attribution import (
    JUDGED_NOTE,
    MAP_NOTE,
    SCORES_NOTE,
    TITLES,
    draw_image,
    draw_map,
    draw_scores,
)
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, explained

READ = (*FILES, "scores.csv")
IMAGES = 2  # of each arm: the first right and the first wrong one, where both are there


def folders(material: Material) -> dict[str, Path]:
    """Where lies what was found of each arm's first seed, by the arm's name for people."""
    found = gallery.folders(material, explained(material.study), "attribution", READ[0])
    return {name: folder for name, (_, folder) in found.items()}


def sources(material: Material) -> list[Path]:
    """The files that the figures of attribution are drawn from."""
    return [folder / file for folder in folders(material).values() for file in READ]


def draw_attribution_scores(material: Material, figure: Planned) -> Figure:
    """A row an arm: area under the deletion and the insertion curve of each method, beside random orders."""
    found = {name: pd.read_csv(folder / READ[-1]) for name, folder in folders(material).items()}
    if not found:
        return gallery.empty(material, figure)
    lengths = [scores["method"].nunique() for scores in found.values()]
    fig = style.figure(sum(0.9 + 0.26 * length for length in lengths))
    grid = fig.subplots(len(found), 2, squeeze=False, height_ratios=[3 + length for length in lengths])
    for row, (name, scores) in zip(grid, found.items(), strict=True):
        draw_scores(row, scores)
        row[0].set_title(name)
    counts = sorted({int(n) for scores in found.values() for n in scores["n_images"]})
    images = " or ".join(map(str, counts))
    style.frame(
        fig,
        material.study,
        figure.question,
        f"First seed, {images} test images. {JUDGED_NOTE} {SCORES_NOTE} Dotted: random orders of pixels and of 8 x 8 squares.",
    )
    return fig


def draw_attribution_maps(material: Material, figure: Planned) -> Figure:
    """Two rows an arm, an image each; a column a method."""
    found = {name: Attributions.load(folder) for name, folder in folders(material).items()}
    if not found:
        return gallery.empty(material, figure)
    methods = [method for method in TITLES if any(method in a.methods for a in found.values())]
    lines = [(name, a, number) for name, a in found.items() for number in range(min(IMAGES, len(a.images)))]
    columns = max(2, 1 + len(methods))
    fig = style.figure(len(lines) * gallery.row_height(columns, 0.8))
    grid = fig.subplots(len(lines), columns, squeeze=False)
    for row, (name, attributions, number) in zip(grid, lines, strict=True):
        draw_image(row[0], attributions, number)
        gallery.name_row(row[0], name)
        for ax, method in zip(row[1:], methods, strict=False):
            if method in attributions.methods:
                draw_map(ax, attributions, number, method)
            else:
                style.nothing(ax, "not available\nfor this network")
    style.frame(fig, material.study, figure.question, f"First seed. {MAP_NOTE} {JUDGED_NOTE}")
    return fig
