"""Precision against recall by class, and what the area under each curve comes to."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import LINES, Planned
from florilegium.report.statistics import student


def draw_precision_recall(material: Material, figure: Planned) -> Figure:
    """Curves at an IoU of 0.5 of the shown arm, of the classes it finds worst where there are many."""
    entry = material.study.detector() or material.study.main()
    runs = material.finished(entry)
    details = [run.detail() for run in runs]
    classes = [name for name in details[0]["classes"] if name in details[0]["precision"]] if details else []
    fig = style.figure(max(3.6, 1.2 + 0.3 * len(classes)))
    curves, areas = fig.subplots(1, 2, width_ratios=[1.2, 1])
    if classes:
        order = sorted(classes, key=lambda name: np.mean(_figures(details, name, "AP50")))
        drawn = [name for name in classes if name in order[:LINES]]
        for index, name in enumerate(drawn):
            _curve(curves, details, name, style.colour(index))
        _axes(curves)
        _areas(areas, details, order, {name: style.colour(i) for i, name in enumerate(drawn)})
        style.legend(fig, columns=4)
    else:
        style.nothing(curves, "no finished run" if not runs else "no object to find")
        areas.set_visible(False)
    fewer = f" The {LINES} classes with the lowest area are drawn." if len(classes) > LINES else ""
    style.frame(
        fig,
        material.study,
        f"{figure.question} {material.label(entry)}",
        f"Left: precision at each recall at an IoU of 0.5; thin: single runs ({material.n_seeds([entry])}, "
        f"{material.n_tests([entry])}); bold: their mean.{fewer} Right: average precision, mean and 95 % t interval over "
        "seeds alone; large: over IoU 0.5 to 0.95; small: at 0.5.",
    )
    return fig


def _figures(details: Sequence[dict[str, dict[str, dict[str, float]]]], name: str, key: str) -> list[float]:
    return [100 * detail["by_class"][name][key] for detail in details]


def _curve(ax: Axes, details: Sequence[dict[str, dict[str, list[float]]]], name: str, colour: str) -> None:
    recall = 100 * np.asarray(details[0]["recall"])
    every: NDArray[np.float64] = 100 * np.array([detail["precision"][name] for detail in details])  # (S, 101)
    if len(every) > 1:
        ax.plot(recall, every.T, linewidth=0.8, alpha=0.35, color=colour)
    ax.plot(recall, every.mean(axis=0), linewidth=2.2, color=colour, label=name)


def _axes(ax: Axes) -> None:
    ax.set(xlabel="recall (%)", ylabel="precision (%)", xlim=(0, 101), ylim=(0, 101))


def _areas(
    ax: Axes,
    details: Sequence[dict[str, dict[str, dict[str, float]]]],
    order: Sequence[str],
    colours: dict[str, str],
) -> None:
    for row, name in enumerate(order):
        colour = colours.get(name, style.SOFT)
        for key, size, aside in (("AP", 8, 0.0), ("AP50", 5, 0.25)):
            values = _figures(details, name, key)
            _, low, high = student(values, 0.0, 100.0)
            ax.plot([low, high], [row + aside] * 2, color=colour, linewidth=2)
            ax.plot(np.mean(values), row + aside, "o", markersize=size, color=colour, markeredgecolor="white")
    ax.set_yticks(range(len(order)), [style.wrapped(name, 20) for name in order])
    ax.set_xlabel("AP (large) and AP50 (small) (%)")
    ax.set_xlim(left=0)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
