"""Ours beside what was published, one line a figure."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from florilegium.core.metrics import SCORES, SCORING, WORDS
from florilegium.figures import style
from florilegium.figures.material import Material
from florilegium.figures.registry import Planned, members
from florilegium.report.study import labels
from florilegium.report.tables import judged, measured

COLOURS = {
    "reproduced": style.RIGHT,
    "higher": "#0072B2",
    "lower": style.WRONG,
    "diverged": "#B91C1C",
}

MAIN = {task.main for task in SCORING.values()}


def draw_published(material: Material, figure: Planned) -> Figure:
    """Dot and interval: ours; band: the published range; word: the verdict."""
    table = material.comparison
    keys = zip(table["experiment"], table["arm"], strict=True)
    shown = pd.Series([key in figure.arms for key in keys], index=table.index, dtype=bool)
    told = table["metric"].isin(MAIN) | np.isfinite(table["published_low"])
    rows = table[table["metric"].isin(SCORES) & told & shown].reset_index(drop=True)
    names = labels(material.study)
    entries = members(material.study, figure)
    fig = style.figure(1.0 + 0.46 * max(len(rows), 2))
    ax = fig.subplots()
    for row in rows.itertuples():
        _row(ax, row, -row.Index)
    texts = [_label(names[(row.experiment, row.arm)], row.metric) for row in rows.itertuples()]
    ax.set_yticks([-i for i in range(len(rows))], texts)
    ax.set_ylim(-len(rows) + 0.4, 0.6)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"{' or '.join(dict.fromkeys(entry.scoring.axis for entry in entries))} (%)")
    ax.set_xlim(*_limits(rows))
    ax.plot([], [], "o", color=style.INK, label="ours, 95 % interval")
    ax.fill_between([], [], color=style.BAND, label="published")
    style.legend(fig)
    arms = [entry for entry in entries if material.finished(entry)]
    banded = rows[np.isfinite(rows["published_low"])]
    not_alike = banded["differs"].fillna("").ne("")
    warning = ""
    if not_alike.any():
        which = "All" if not_alike.all() else "Some"
        warning = f"{which} bands are of something else than was run here, and no target: the table says what differs. "
    style.frame(
        fig,
        material.study,
        figure.question,
        f"{warning}{style.INTERVAL}; {material.n_seeds(arms)}. "
        f"{material.n_tests(arms)}. Rows without a band have no published figure.",
    )
    return fig


def _row(ax: Axes, row: pd.Series, y: float) -> None:
    colour = COLOURS.get(row.verdict, style.INK)
    if np.isfinite(row.published_low):
        # A single published number still has to be seen: it is drawn three tenths of a point wide.
        width = max(100 * (row.published_high - row.published_low), 0.3)
        left = 50 * (row.published_high + row.published_low) - width / 2
        ax.barh(y, width, left=left, height=0.62, color=style.BAND)
    if np.isfinite(row.ci_low):
        ax.plot([100 * row.ci_low, 100 * row.ci_high], [y, y], color=colour, linewidth=2.6)
    if np.isfinite(row.mean):
        ax.plot(100 * row.mean, y, "o", markersize=7.5, color=colour, markeredgecolor="white")
    figures = measured(row.metric, row.mean, row.ci_low, row.ci_high) if np.isfinite(row.mean) else ""
    said = "\n".join(filter(None, (figures, judged(row.verdict, row.published_low))))
    ax.annotate(
        said, (1, y), xycoords=("axes fraction", "data"), xytext=(8, 0), textcoords="offset points",
        va="center", fontsize=8, color=colour if row.verdict in COLOURS else style.SOFT, linespacing=1.3,
    )  # fmt: skip


def _label(name: str, metric: str) -> str:
    text = style.wrapped(name, 46)
    return text if metric in MAIN else f"{text}\n{WORDS[metric]}"


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Wide enough for every interval and band, with air, inside 0 to 100 %."""
    values = 100 * rows[["published_low", "published_high", "mean", "ci_low", "ci_high"]].to_numpy(
        dtype=float
    )
    if not np.isfinite(values).any():
        return 0.0, 100.0
    low, high = np.nanmin(values), np.nanmax(values)
    air = max(0.06 * (high - low), 1.0)
    return max(0.0, low - air), min(100.0 + air / 2, high + air)
