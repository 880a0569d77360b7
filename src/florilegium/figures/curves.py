"""Small multiples of training: for each arm its loss above and its main metric below, by epoch."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, members
from florilegium.report.figures_curves import Pen, draw_runs
from florilegium.report.runs import Run
from florilegium.report.study import Entry
from florilegium.report.tables import axis

ACROSS = 5
VALIDATION: dict[str, Any] = {"color": style.PALETTE[0], "linestyle": "-"}
TRAINING: dict[str, Any] = {"color": style.SOFT, "linestyle": "--"}

PUBLISHED: dict[str, Any] = {"color": style.BAND, "linewidth": 4, "zorder": 1}
PEN = Pen(thin=0.8, bold=2, cross=7, cross_colour=style.WRONG)


def draw_panels(material: Material, figure: Planned) -> Figure:
    """Validation and training curves of each arm, every panel of a kind on the same scale."""
    entries = members(material.study, figure)
    losses = {} if figure.chosen is None else {of.experiment: of.losses for of in figure.chosen.published}
    n_blocks = ceil(len(entries) / ACROSS)
    n_across = ceil(len(entries) / n_blocks)
    fig = style.figure(
        0.4 + 3.7 * n_blocks, style.WIDTH if n_across > 2 else 0.35 * style.WIDTH * (1 + n_across)
    )
    axes = fig.subplots(2 * n_blocks, n_across, squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    for index, entry in enumerate(entries):
        block, column = divmod(index, n_across)
        loss, score = axes[2 * block, column], axes[2 * block + 1, column]
        _published(loss, material.runs[entry.key], losses.get("/".join(entry.key), ()))
        _arm(material, entry, loss, score, is_first=column == 0)
    _same_limits([ax for row in axes[0::2] for ax in row if ax.get_visible()])
    _same_limits([ax for row in axes[1::2] for ax in row if ax.get_visible()])
    _key(fig, has_published=bool(losses))
    style.frame(
        fig,
        material.study,
        figure.question,
        f"{material.not_alike([e for e in entries if '/'.join(e.key) in losses])}One column an arm, all on the same scales. Thin: single runs ({material.n_seeds(entries)}); bold: their mean at "
        "each epoch. A cross marks where a run diverged. The training loss is the one that was minimised, on "
        f"augmented images, so that it can stay above the validation loss.{_sources(figure)}",
    )
    return fig


def _arm(material: Material, entry: Entry, loss: Axes, score: Axes, *, is_first: bool) -> None:
    runs = material.runs[entry.key]
    label, scale = axis(entry.scoring.main, 1.0)
    for ax, name, factor in ((loss, "loss", 1.0), (score, entry.scoring.main, scale)):
        ax.set_visible(True)
        draw_runs(ax, runs, f"train_{name}", factor, TRAINING, PEN)
        draw_runs(ax, runs, f"val_{name}", factor, VALIDATION, PEN)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        if not ax.lines:
            style.nothing(ax, "not run" if not runs else "not validated")
    loss.set_title(style.wrapped(material.label(entry), 22), fontsize=9)
    score.set_xlabel("epoch")
    loss.tick_params(labelbottom=False)
    if is_first:
        loss.set_ylabel("loss")
        score.set_ylabel(label.removeprefix("test "))
    else:
        loss.tick_params(labelleft=False)
        score.tick_params(labelleft=False)


def _same_limits(axes: Sequence[Axes]) -> None:
    """One scale for all; a few values far above the rest, as before a divergence, do not set it."""
    drawn = [line.get_ydata() for ax in axes for line in ax.lines]
    if not drawn:
        return
    values = np.concatenate([np.asarray(y, dtype=float).ravel() for y in drawn])
    values = values[np.isfinite(values)]
    top = min(values.max(), 3 * np.quantile(values, 0.95)) if len(values) else 1.0
    for ax in axes:
        ax.set_ylim(0, 1.06 * top if top > 0 else 1.0)


def _published(ax: Axes, runs: Sequence[Run], losses: Sequence[float]) -> None:
    """As far as our own runs go: the epochs beyond would squeeze them."""
    shown = losses[: max((len(run.history) for run in runs), default=len(losses))]
    if shown:
        ax.plot(np.arange(1, len(shown) + 1), shown, **PUBLISHED)


def _sources(figure: Planned) -> str:
    """Where the published losses stand."""
    found = dict.fromkeys(of.source for of in figure.chosen.published) if figure.chosen else {}
    return f" Published training losses: {'; '.join(found)}." if found else ""


def _key(fig: Figure, *, has_published: bool) -> None:
    ax = fig.axes[0]
    beside = [("published training", PUBLISHED)] if has_published else []
    for name, look in (("validation", VALIDATION), ("training", TRAINING), *beside):
        ax.plot([], [], label=name, **{"linewidth": 2, **look})
    style.legend(fig, columns=3)
