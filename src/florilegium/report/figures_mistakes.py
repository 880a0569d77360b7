"""What a detector gets wrong: how often in each way, and which classes it takes for which."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned
from florilegium.report.statistics import student

NAMES = {
    "correct": "right",
    "class": "another class",
    "box": "a bad box",
    "duplicate": "found twice",
    "background": "nothing there",
    "missed": "missed",
}
ANNOTATED = 12  # classes up to which each cell shows its count


def draw_errors(material: Material, figure: Planned) -> Figure:
    """The kinds of `evaluation.detection_errors` left, objects against detections right."""
    entry = material.study.detector() or material.study.main()
    runs = material.finished(entry)
    classes = material.called(entry.dataset)
    n = len(classes) + 1
    fig = style.figure(max(3.8, 1.8 + 0.26 * n))
    kinds, matrix = fig.subplots(1, 2, width_ratios=[1, 1.25])
    if runs and classes:
        errors = [run.detail()["errors"] for run in runs]
        _kinds(kinds, [found["counts"] for found in errors])
        _matrix(fig, matrix, np.sum([found["confusion"] for found in errors], axis=0), classes)
    else:
        style.nothing(kinds, "no finished run")
        matrix.set_visible(False)
    style.frame(
        fig,
        material.study,
        f"{figure.question} {material.label(entry)}",
        "Detections from the score on at which F1 is best, at an IoU of 0.5. Left: detections of each kind, and objects "
        f"that nothing points at, a run; dots: single runs ({material.n_seeds([entry])}, {material.n_tests([entry])}); lines: 95 % t "
        "interval. Right: objects by class (rows) against what they were taken for, summed over seeds; colour: share "
        "of the row.",
    )
    return fig


def _kinds(ax: Axes, counts: Sequence[Mapping[str, int]]) -> None:
    for row, kind in enumerate(NAMES):
        values = [found[kind] for found in counts]
        mean = float(np.mean(values))
        colour = style.RIGHT if kind == "correct" else style.WRONG
        ax.barh(-row, mean, height=0.55, color=colour, alpha=0.55)
        end = float(max(values))
        _, low, high = student(values, least=0.0)
        if not np.isnan(low):
            ax.plot([low, high], [-row, -row], color=style.INK, linewidth=1.6)
            end = max(end, high)
        ax.plot(values, [-row + 0.3] * len(values), "o", markersize=3, color=style.INK, alpha=0.6)
        ax.annotate(
            f"{mean:.3g}", (end, -row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8,
            color=style.SOFT,
        )  # fmt: skip
    ax.set_yticks([-row for row in range(len(NAMES))], list(NAMES.values()))
    ax.set_xlabel("detections, or objects missed")
    ax.margins(x=0.14)
    ax.set_xlim(left=0)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)


def _matrix(fig: Figure, ax: Axes, counts: Any, classes: Sequence[str]) -> None:
    """The last row holds detections where nothing is, the last column objects that nothing was found on."""
    n = len(counts)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    drawn = ax.imshow(share, cmap="Blues", vmin=0, vmax=100, interpolation="nearest", aspect="auto")
    size = float(np.clip(120 / n, 4.2, 8.5))
    ax.set_xticks(range(n), [*classes, "not found"], rotation=40, ha="right", fontsize=size)
    ax.set_yticks(range(n), [*classes, "nothing"], fontsize=size)
    ax.set_xlabel("found")
    ax.set_ylabel("there")
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.axhline(n - 1.5, color="white", linewidth=2)
    ax.axvline(n - 1.5, color="white", linewidth=2)
    fig.colorbar(drawn, ax=ax, shrink=0.8, label="share of the row (%)")
    if n > ANNOTATED:
        return
    for i, j in zip(*np.nonzero(counts), strict=True):
        tint = "white" if share[i, j] > 55 else style.INK
        ax.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=7.5, color=tint)
