"""How far a classifier can be believed: its probabilities beside its accuracy, and its accuracy by class."""

import numpy as np

from florilegium.evaluation.calibration import BINS, Reliability
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, members
from florilegium.figures.style import Drawing
from florilegium.report.scores import accuracy_by_class

CLASSES = 40  # shown at most: those with the lowest accuracy


def draw_calibration(material: Material, plot: Plot) -> Drawing:
    """Left the accuracy of answers by their probability, of each seed and of all; right the number of such answers."""
    (entry,) = members(material.study, plot)
    seeds = [binned for run in material.finished(entry) if (binned := run.answers.reliability) is not None]
    fig = style.figure(4.2)
    accuracy, counts = fig.subplots(1, 2)
    if not seeds:
        style.nothing(accuracy, "no finished run")
        counts.set_visible(False)
        return fig, ""
    together = Reliability(*np.sum(seeds, axis=0))
    edges = 100 * np.arange(BINS + 1) / BINS
    wrong = together.n - together.right
    for part, below, colour, name in (
        (together.right, 0, style.RIGHT, "right"),
        (wrong, together.right, style.WRONG, "wrong"),
    ):
        look = {"align": "edge", "color": colour, "alpha": 0.7, "edgecolor": "white", "label": name}
        counts.bar(edges[:-1], part / len(seeds), np.diff(edges), bottom=below / len(seeds), **look)
    counts.set(ylabel="test images, mean over seeds", xlim=(0, 100))
    for ax in (accuracy, counts):
        ax.set_xlabel("probability of the predicted class (%)")
    accuracy.plot([0, 100], [0, 100], color=style.SOFT, linewidth=1, linestyle=":", label="as sure as it is right")
    for index, of in enumerate((*seeds, together)):
        is_mean = index == len(seeds)
        filled = of.n > 0
        at, right = (100 * part[filled] / of.n[filled] for part in (of.probability, of.right))
        look = {"linewidth": 1.8, "marker": "o", "markersize": 4} if is_mean else {"linewidth": 0.8, "alpha": 0.45}
        words = "all seeds together" if is_mean else "single seeds" if index == 0 else None
        accuracy.plot(at, right, color=style.PALETTE[0], label=words, **look)
    accuracy.set(ylabel="right (%)", xlim=(0, 100), ylim=(0, 102))
    style.legend(fig, columns=5)
    errors = [100 * of.error for of in seeds]
    return fig, (
        f"Test images of {entry.dataset}, {material.n_runs([entry])}. Below the dotted line it is surer than it is "
        f"right. Expected calibration error, the mean over seeds: {np.mean(errors):.1f} points ({BINS} bins)."
    )


def draw_by_class(material: Material, plot: Plot) -> Drawing:
    """Accuracy on the test images of each class, the lowest first."""
    (entry,) = members(material.study, plot)
    found = accuracy_by_class(material.finished(entry))
    words = dict(zip(material.classes.get(entry.dataset, ()), material.called(entry.dataset), strict=True))
    shown = sorted(found, key=lambda name: (found[name][0], name))[:CLASSES]
    fig = style.figure(max(2.6, 1.4 + 0.24 * len(shown)))
    ax = fig.subplots()
    if not shown:
        style.nothing(ax, "no finished run")
        return fig, ""
    for row, name in enumerate(shown):
        mean, low, high = (100 * value for value in found[name])
        marks.estimate(ax, (mean, low, high), -row, style.PALETTE[0])
    marks.rows(ax, [style.class_name(words.get(name, name)) for name in shown], fontsize=8.5)
    ax.set(xlabel="test top-1 (%)", xlim=(-2, 102))
    which = "All classes" if len(shown) == len(found) else f"{len(shown)} of {len(found)} classes"
    return fig, (
        f"Test images of {entry.dataset}, {material.n_runs([entry])}. {which}, the worst first; line: {style.INTERVAL}."
    )
