"""Three histograms that show where the radius and the pixel threshold cut."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from florilegium.audit.comparison import DIFFERENT, SAME, Comparison
from florilegium.audit.matching import FAR

COLOURS = {SAME: "#d55e00", DIFFERENT: "#0072b2"}
LABELS = {SAME: "same picture", DIFFERENT: "different"}


def distance_histograms(comparison: Comparison) -> Figure:
    """Draw hash and pixel distances of all candidate pairs, and each image's nearest neighbour."""
    figure = Figure(figsize=(13, 3.9), layout="constrained")
    hashes, pixels, nearest = figure.subplots(1, 3)
    _hash_distances(hashes, comparison)
    _pixel_distances(pixels, comparison)
    _nearest(nearest, comparison)
    for axes in (hashes, pixels, nearest):
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.margins(y=0.25)  # room for the legend above the bars
    name = (
        f"inside {comparison.a.name}"
        if comparison.inside
        else f"{comparison.a.name} against {comparison.b.name}"
    )
    figure.suptitle(f"Audit {name}: {len(comparison.same):,} pairs show the same picture", fontsize=12)
    return figure


def _hash_distances(axes: Axes, comparison: Comparison) -> None:
    """Stacked bars, one an even distance: two true pHashes never differ in an odd number of bits."""
    positions = np.arange(0, comparison.settings.radius + 1, 2)
    bottom = np.zeros(len(positions))
    for verdict, colour in COLOURS.items():
        distances = comparison.pairs.loc[comparison.pairs["verdict"] == verdict, "hash_distance"]
        counts = np.array([(distances == position).sum() for position in positions])
        axes.bar(positions, counts, 1.5, bottom=bottom, color=colour, label=LABELS[verdict])
        bottom += counts
    axes.set(title="Candidate pairs", xlabel="hash distance (bits of 64)", ylabel="pairs", xticks=positions)
    axes.legend(frameon=False)


def _pixel_distances(axes: Axes, comparison: Comparison) -> None:
    threshold = comparison.settings.pixel_threshold
    edges = np.geomspace(1e-5, 1, 41).tolist()
    for verdict, colour in COLOURS.items():
        distances = comparison.pairs.loc[comparison.pairs["verdict"] == verdict, "pixel_distance"]
        axes.hist(distances.clip(edges[0], edges[-1]), edges, color=colour, alpha=0.8)
    axes.axvline(threshold, color="black", linewidth=1, linestyle="--", label=f"threshold {threshold:g}")
    axes.set(title="Candidate pairs", xscale="log", ylabel="pairs", xlim=(edges[0], edges[-1]))
    axes.set_xlabel("pixel distance (first bin: nearer than 0.00001)")
    axes.legend(frameon=False)


def _nearest(axes: Axes, comparison: Comparison) -> None:
    distances = comparison.nearest[comparison.nearest != FAR]
    edges = list(range(-1, 35, 2))
    axes.hist(distances.clip(0, 33), edges, color="#7f7f7f", rwidth=0.85)
    radius = comparison.settings.radius
    axes.axvline(radius + 1, color="black", linewidth=1, linestyle="--", label=f"radius {radius}")
    axes.set(
        title=f"Each image of {comparison.b.name}",
        xlabel="hash distance to its nearest "
        + ("other image" if comparison.inside else f"in {comparison.a.name}"),
        ylabel="images",
        xticks=range(0, 34, 4),
    )
    axes.legend(frameon=False)
