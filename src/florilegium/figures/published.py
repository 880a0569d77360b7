"""The claims of a study: its scores beside the published ones, the leak, the convergence, the fine-tuning rate."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from florilegium.config.metrics import EPOCHS, SCORES, SCORING, WORDS
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, members
from florilegium.figures.style import Drawing
from florilegium.report.comparison import difference_row, is_significant
from florilegium.report.runs import value
from florilegium.report.study import CORRECTED, HASH_CLEAN, LEAKY, SEEING, Entry, Key, labels
from florilegium.report.tables import equals, judged, measured, p_value, points

COLOURS = {"reproduced": style.RIGHT, "higher": "#0072B2", "lower": style.WRONG, "diverged": "#B91C1C"}
MAIN = {task.main for task in SCORING.values()}
PLAIN = {CORRECTED: "clean", HASH_CLEAN: "cleaned by hash", LEAKY: "leaky"}
MANY = 16  # arms that one figure of convergence shows, if need be


def draw_published(material: Material, plot: Plot) -> Drawing:
    """Dot and interval: ours; band: the published range; word: the verdict."""
    table = material.comparison
    keys = zip(table["experiment"], table["arm"], strict=True)
    is_member = pd.Series([key in plot.arms for key in keys], index=table.index, dtype=bool)
    is_row = table["metric"].isin(MAIN) | np.isfinite(table["published_low"])
    rows = table[table["metric"].isin(SCORES) & is_row & is_member].reset_index(drop=True)
    names = labels(material.study)
    entries = members(material.study, plot)
    fig = style.figure(1.0 + 0.46 * max(len(rows), 2))
    ax = fig.subplots()
    texts = []
    for row in rows.itertuples():
        _row(ax, row, -row.Index)
        name = style.wrapped(style.title(names[(row.experiment, row.arm)]), 46)
        texts.append(name if row.metric in MAIN else f"{name}\n{WORDS[row.metric]}")
    marks.rows(ax, texts)
    ax.set_xlabel(f"{' or '.join(dict.fromkeys(entry.scoring.axis for entry in entries))} (%)")
    ax.set_xlim(*_limits(rows))
    marks.key(ax, mean="ours, 95 % interval", has_band=True)
    style.legend(fig)
    arms = [entry for entry in entries if material.finished(entry)]
    not_alike = rows[np.isfinite(rows["published_low"])]["differs"].fillna("").ne("")
    warning = ""
    if not_alike.any():
        which = "All" if not_alike.all() else "Some"
        warning = f"{which} bands are of something else than was run here, and no target: the table says what differs. "
    return fig, (
        f"{warning}{style.INTERVAL}; {material.n_seeds(arms)}. {material.n_tests(arms)}. Rows without a band have no "
        "published score."
    )


def _row(ax: Axes, row: pd.Series, y: float) -> None:
    colour = COLOURS.get(row.verdict, style.INK)
    numbers = ""
    if isfinite(row.published_low):
        marks.band(ax, 100 * row.published_low, 100 * row.published_high, y, 0.31)
    if isfinite(row.mean):
        marks.estimate(ax, (100 * row.mean, 100 * row.ci_low, 100 * row.ci_high), y, colour, markersize=7.5)
        numbers = measured(row.metric, row.mean, row.ci_low, row.ci_high)
    verdict = "\n".join(filter(None, (numbers, judged(row.verdict, row.published_low))))
    colour = colour if row.verdict in COLOURS else style.SOFT
    marks.remark(ax, verdict, (1, y), gap=8, at_edge=True, color=colour, linespacing=1.3)


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Wide enough for every interval and band, with air, inside 0 to 100 %."""
    values = 100 * rows[["published_low", "published_high", "mean", "ci_low", "ci_high"]].to_numpy(dtype=float)
    if not np.isfinite(values).any():
        return 0.0, 100.0
    low, high = np.nanmin(values), np.nanmax(values)
    air = max(0.06 * (high - low), 1.0)
    return max(0.0, low - air), min(100.0 + air / 2, high + air)


def draw_leak(material: Material, plot: Plot) -> Drawing:
    """Leaky and cleaned by hash against clean, seeds paired, and the paired differences with their intervals."""
    leaks = material.study.leaks()
    families: dict[Key, list[Entry]] = {}  # by clean arm, the others
    for leaky, clean in leaks:
        families.setdefault(clean.key, [clean]).append(leaky)
    places = [arm for arm in (CORRECTED, *SEEING) if arm == CORRECTED or any(e.arm == arm for e, _ in leaks)]
    fig = style.figure(max(3.2, 1.8 + 0.7 * len(leaks)))
    slopes, forest = fig.subplots(1, 2, width_ratios=(1, 1.25))
    for index, family in enumerate(families.values()):
        at = sorted(((0 if e is family[0] else places.index(e.arm), e) for e in family), key=lambda placed: placed[0])
        _slope(slopes, material, at, style.colour(index))
    colours = {key: style.colour(index) for index, key in enumerate(families)}
    for row, (leaky, clean) in enumerate(leaks):
        _effect(forest, material, leaky, -row, colours[clean.key])
    slopes.set_xticks(range(len(places)), [PLAIN[arm] for arm in places])
    slopes.set(title="Each line is a seed", ylabel="test top-1 accuracy (%)", xlim=(-0.25, len(places) - 0.75))
    slopes.grid(axis="x", visible=False)
    forest.axvline(0, color=style.SOFT, linewidth=1)
    targets = [style.wrapped(f"{PLAIN[leaky.arm]}, {leaky.dataset.replace('_', ' ')}", 18) for leaky, _ in leaks]
    forest.set_yticks([-i for i in range(len(leaks))], targets)
    forest.set(title="Minus clean", xlabel="percentage points of test accuracy")
    forest.set_ylim(-len(leaks) + 0.35, 0.65)
    forest.grid(axis="y", visible=False)
    arms = list({entry.key: entry for pair in leaks for entry in pair}.values())
    by_hash = "cleaned by hash: without the copies that a hash sees; " if HASH_CLEAN in places else ""
    return fig, (
        f"Leaky: pretrained on pictures that the test set shows again; {by_hash}clean: without them. "
        f"{material.n_runs(arms)}. Dot and bar: mean paired difference and its 95 % interval, over seeds and images "
        f"both; p adjusted for the study's {len(material.differences)} tests."
    )


def _slope(ax: Axes, material: Material, placed: Sequence[tuple[int, Entry]], colour: str) -> None:
    """The accuracy of arms at their places, joined seed by seed, and their means."""
    accuracy = [{run.seed: 100 * run.metrics[e.scoring.main] for run in material.finished(e)} for _, e in placed]
    places = [place for place, _ in placed]
    if shared := sorted(set.intersection(*(set(arm) for arm in accuracy))):
        ends = np.array([[arm[seed] for seed in shared] for arm in accuracy])  # (arms, seeds)
        ax.plot(places, ends, color=colour, alpha=0.45, linewidth=1.2, marker="o", markersize=4)
        ax.plot(places, ends.mean(axis=1), color=colour, linewidth=3, marker="o", markersize=7)


def _effect(ax: Axes, material: Material, entry: Entry, y: float, colour: str) -> None:
    test = difference_row(material.differences, entry)
    if test is None:
        ax.text(0, y, "  no paired test", va="center", color=style.SOFT)
        return
    summary = 100 * test.difference, 100 * test.ci_low, 100 * test.ci_high
    marks.estimate(ax, summary, y, colour, width=3)
    remark = f"{points(test.difference)} points, p {equals(p_value(test.p_adjusted))}"
    if not is_significant(test):
        remark += f": none shown (detectable: {points(test.detectable).removeprefix('+')})"
    edge = ax.get_yaxis_transform()  # remarks start at the left edge, where none covers a name
    ax.annotate(remark, (0.02, y), xycoords=edge, xytext=(0, 11), textcoords="offset points", fontsize=9)


def draw_convergence(material: Material, plot: Plot) -> Drawing:
    """Epochs until 90 % of an arm's own final validation accuracy: of all arms without a leak, or in a large study of
    those that differ in their first weights alone."""
    entries = [e for e in material.study.entries if e.role in ("scratch", "transfer") and e.arm not in SEEING]
    if len(entries) > MANY:
        pairs = {entry.key for pair in material.study.gains() for entry in pair}
        entries = [entry for entry in entries if entry.key in pairs]
    entries = [entry for entry in entries if isfinite(material.summary(EPOCHS, entry)[0])]
    fig = style.figure(1.3 + 0.5 * max(len(entries), 2))
    ax = fig.subplots()
    for row, entry in enumerate(entries):
        colour = style.PALETTE[1] if entry.role == "scratch" else style.PALETTE[0]
        marks.estimate(ax, material.summary(EPOCHS, entry), -row, colour, width=3)
        seeds = [value(run, EPOCHS) for run in material.finished(entry)]
        marks.dots(ax, seeds, -row + 0.22, colour, markersize=4.5, alpha=0.6, clip_on=False)
    if entries:
        marks.rows(ax, [style.wrapped(material.label(e)) for e in entries])
        ax.set(xlabel="epochs of training on the target", xlim=(0, None))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.plot([], [], "o", color=style.PALETTE[1], label="from scratch")
        ax.plot([], [], "o", color=style.PALETTE[0], label="transferred")
        style.legend(fig)
    else:
        style.nothing(ax, "no finished run with a validation split")
    return fig, (
        "Epochs until the validation accuracy first reaches 90 % of the same run's last. Small dots: single runs "
        f"({material.n_seeds(entries)}); large: mean and 95 % t interval over seeds. Every arm is held against its own "
        "end, so read this beside the accuracy. Epochs spent on pretraining do not count."
    )


def draw_rates(material: Material, plot: Plot) -> Drawing:
    """Test accuracy against the fine-tuning rate."""
    families = material.study.rates()
    fig = style.figure(3.6)
    ax = fig.subplots()
    for index, family in enumerate(families):
        aside = 1.13 ** (index - (len(families) - 1) / 2)  # families stand side by side
        _family(ax, material, family, style.colour(index), aside)
    arms = [entry for family in families for entry in family]
    rates = {entry.rate: f"{entry.rate:.4g}\n{entry.lr_factor:g}×" for entry in arms}
    ax.set_xscale("log")
    ax.set_xticks(sorted(rates), [rates[lr] for lr in sorted(rates)])
    ax.set_xticks([], minor=True)
    ax.margins(x=0.12)
    ax.set(xlabel="learning rate, and its ratio to the baseline's", ylabel="test top-1 accuracy (%)")
    if len(families) > 1:
        style.legend(fig)
    return fig, (
        f"{material.reading(arms)}. These are test accuracies, shown to answer the study's claim; no rate was chosen "
        "by them."
    )


def _family(ax: Axes, material: Material, family: list[Entry], colour: str, aside: float) -> None:
    """Arms that differ in the rate alone, joined, each a little aside of its rate by this factor."""
    means: list[tuple[float, float]] = []
    for entry in family:
        main, x = entry.scoring.main, entry.rate * aside
        mean, low, high = (100 * v for v in material.summary(main, entry))
        if isfinite(mean):
            scores = [100 * run.metrics[main] for run in material.finished(entry)]
            marks.dots(ax, scores, x * 1.045, colour, upright=True, alpha=0.5)
            marks.estimate(ax, (mean, low, high), x, colour, upright=True)
            means.append((x, mean))
    if means:
        label = material.label(family[[e.lr_factor for e in family].index(1.0)])
        ax.plot(*zip(*means, strict=True), color=colour, linewidth=1, alpha=0.6, label=label)
