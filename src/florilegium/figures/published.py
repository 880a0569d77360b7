"""Figures of effects: the leak, the speed of convergence, the fine-tuning rate."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from florilegium.core.metrics import EPOCHS
from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import CONVERGENCE_ROLES, Planned
from florilegium.report.comparison import differences_of, shown
from florilegium.report.measures import value
from florilegium.report.runs import finite
from florilegium.report.study import LEAKY, Entry
from florilegium.report.tables import equals, p_value, points

MANY = 16  # arms that one figure of convergence shows, if need be


def draw_leak(material: Material, figure: Planned) -> Figure:
    """Leaky against clean, seeds paired, and the paired difference with its interval."""
    leaks = material.study.leaks()
    fig = style.figure(max(3.2, 1.8 + 0.7 * len(leaks)))
    slopes, forest = fig.subplots(1, 2, width_ratios=(1, 1.25))
    for index, (leaky, clean) in enumerate(leaks):
        _slope(slopes, material, leaky, clean, style.colour(index))
        _effect(forest, material, leaky, -index, style.colour(index))
    slopes.set_title("Each line is a seed")
    slopes.set_xticks([0, 1], ["clean", "leaky"])
    slopes.set_xlim(-0.25, 1.25)
    slopes.set_ylabel("test top-1 accuracy (%)")
    slopes.grid(axis="x", visible=False)
    forest.set_title("Leaky minus clean")
    forest.axvline(0, color=style.SOFT, linewidth=1)
    forest.set_ylim(-len(leaks) + 0.35, 0.65)
    forest.set_yticks([-i for i in range(len(leaks))], [_target(leaky) for leaky, _ in leaks])
    forest.set_xlabel("percentage points of test accuracy")
    forest.grid(axis="y", visible=False)
    arms = [entry for pair in leaks for entry in pair]
    style.frame(
        fig,
        material.study,
        figure.question,
        f"Leaky: pretrained on pictures that the test set shows again; clean: without them. {material.n_seeds(arms)}, "
        f"{material.n_tests(arms)}. Dot and bar: mean paired difference and its 95 % interval, over seeds and "
        f"images both; p adjusted for the study's {len(material.differences)} tests.",
    )
    return fig


def _target(entry: Entry) -> str:
    return style.wrapped(entry.dataset.replace("_", " "), 18)


def _slope(ax: Axes, material: Material, leaky: Entry, clean: Entry, colour: str) -> None:
    accuracy = [
        {run.seed: 100 * run.metrics[e.scoring.main] for run in material.finished(e)} for e in (clean, leaky)
    ]
    both = sorted(accuracy[0].keys() & accuracy[1].keys())
    if not both:
        return
    ends = np.array([[arm[seed] for seed in both] for arm in accuracy])  # (2, seeds)
    ax.plot([0, 1], ends, color=colour, alpha=0.45, linewidth=1.2, marker="o", markersize=4)
    ax.plot([0, 1], ends.mean(axis=1), color=colour, linewidth=3, marker="o", markersize=7)


def _effect(ax: Axes, material: Material, entry: Entry, y: float, colour: str) -> None:
    found = differences_of(material.differences, entry)
    if found is None:
        ax.text(0, y, "  no paired test", va="center", color=style.SOFT)
        return
    _bar(ax, 100 * found.difference, 100 * found.ci_low, 100 * found.ci_high, y, colour)
    said = f"{points(found.difference)} points, p {equals(p_value(found.p_adjusted))}"
    if not shown(found):
        said += f": none shown (detectable: {points(found.detectable).removeprefix('+')})"
    ax.annotate(
        said, (100 * found.difference, y), xytext=(0, 11), textcoords="offset points", ha="center", fontsize=9
    )


def _bar(ax: Axes, mean: float, low: float, high: float, y: float, colour: str) -> None:
    if np.isfinite(low):
        ax.plot([low, high], [y, y], color=colour, linewidth=3)
    ax.plot(mean, y, marker="o", markersize=8, color=colour, markeredgecolor="white")


def draw_convergence(material: Material, figure: Planned) -> Figure:
    """Epochs until 90 % of an arm's own final validation accuracy."""
    entries = [e for e in _learners(material) if np.isfinite(material.summary(EPOCHS, e)[0])]
    fig = style.figure(1.3 + 0.5 * max(len(entries), 2))
    ax = fig.subplots()
    for row, entry in enumerate(entries):
        colour = style.PALETTE[1] if entry.role == "scratch" else style.PALETTE[0]
        runs = material.finished(entry)
        _bar(ax, *material.summary(EPOCHS, entry), -row, colour)
        seeds = [value(run, EPOCHS) for run in runs]
        ax.plot(
            seeds, [-row + 0.22] * len(seeds), "o", markersize=4.5, color=colour, alpha=0.6, clip_on=False
        )
    if entries:
        ax.set_yticks([-i for i in range(len(entries))], [style.wrapped(material.label(e)) for e in entries])
        ax.set_ylim(-len(entries) + 0.4, 0.6)
        ax.set_xlim(left=0)
        ax.set_xlabel("epochs of training on the target")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y", visible=False)
        ax.plot([], [], "o", color=style.PALETTE[1], label="from scratch")
        ax.plot([], [], "o", color=style.PALETTE[0], label="transferred")
        style.legend(fig)
    else:
        style.nothing(ax, "no finished run with a validation split")
    style.frame(
        fig,
        material.study,
        figure.question,
        f"Epochs until the validation accuracy first reaches 90 % of the same run's last. Small dots: single runs "
        f"({material.n_seeds(entries)}); large: mean and 95 % t interval over seeds. Every arm is held against its own "
        "end, so read this beside the accuracy. Epochs spent on pretraining do not count.",
    )
    return fig


def _learners(material: Material) -> list[Entry]:
    """All arms without a leak, or in a large study those that differ in their first weights alone."""
    entries = [e for e in material.study.entries if e.role in CONVERGENCE_ROLES and e.arm != LEAKY]
    if len(entries) <= MANY:
        return entries
    pairs = {e.key for pair in material.study.gains() for e in pair}
    return [e for e in entries if e.key in pairs]


def draw_rates(material: Material, figure: Planned) -> Figure:
    """Test accuracy against the fine-tuning rate."""
    families = material.study.rates()
    fig = style.figure(3.6)
    ax = fig.subplots()
    for index, family in enumerate(families):
        aside = 1.13 ** (index - (len(families) - 1) / 2)  # families stand side by side
        _rate_curve(ax, material, family, style.colour(index), aside)
    arms = [entry for family in families for entry in family]
    rates = {entry.lr: f"{entry.lr:.4g}\n{entry.lr_factor:g}×" for entry in arms}
    ax.set_xscale("log")
    ax.set_xticks(sorted(rates), [rates[lr] for lr in sorted(rates)])
    ax.set_xticks([], minor=True)
    ax.margins(x=0.12)
    ax.set_xlabel("learning rate, and its ratio to the baseline's")
    ax.set_ylabel("test top-1 accuracy (%)")
    if len(families) > 1:
        style.legend(fig)
    style.frame(
        fig,
        material.study,
        figure.question,
        f"Small dots: single runs ({material.n_seeds(arms)}, {material.n_tests(arms)}); large: mean; bars: "
        f"{style.INTERVAL}. These are test accuracies, shown to answer the study's claim; no rate was "
        "chosen by them.",
    )
    return fig


def _rate_curve(ax: Axes, material: Material, family: list[Entry], colour: str, aside: float) -> None:
    drawn: list[tuple[float, float]] = []
    for entry in family:
        runs = finite(material.runs[entry.key])
        mean, low, high = (100 * v for v in material.summary(entry.scoring.main, entry))
        if not np.isfinite(mean):
            continue
        x = entry.lr * aside
        look: dict[str, Any] = {"color": colour, "zorder": 3}
        ax.plot([x, x], [low, high], linewidth=2.6, **look)
        ax.plot(
            [x * 1.045] * len(runs),
            [100 * run.metrics[entry.scoring.main] for run in runs],
            "o",
            markersize=4,
            alpha=0.5,
            color=colour,
        )
        ax.plot(x, mean, "o", markersize=8, markeredgecolor="white", **look)
        drawn.append((x, mean))
    label = material.label(family[[e.lr_factor for e in family].index(1.0)]) if drawn else None
    ax.plot(*np.array(drawn).reshape(-1, 2).T, color=colour, linewidth=1, alpha=0.6, label=label)
