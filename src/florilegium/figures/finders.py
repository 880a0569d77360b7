"""What the finders saw: loss against rate, and memory against batch size."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from florilegium.figures import style


@dataclass(frozen=True)
class Origin:
    """What a finder worked on: a demo's pictures, or others."""

    rendered: bool


def draw_rates(table: pd.DataFrame, suggestion: float, label: style.Label, name: str) -> Figure:
    """Loss against the rate of each step; `table` is `finder.csv`, `name` says whose it is."""
    fig = style.figure(3.6)
    ax = fig.subplots()
    ax.plot(table["lr"], table["loss"], color=style.BAND, linewidth=1.0, label="loss of one step")
    ax.plot(table["lr"], table["smoothed"], color=style.colour(0), linewidth=2.4, label="smoothed")
    ax.axvline(suggestion, color=style.colour(1), linestyle="--", linewidth=1.4)
    at = table.iloc[(table["lr"] - suggestion).abs().argmin()]
    ax.plot(
        [suggestion],
        [at["smoothed"]],
        "o",
        color=style.colour(1),
        markersize=8,
        label=f"suggested: {suggestion:g}",
    )
    ax.set_xscale("log")
    smooth = table["smoothed"]
    low, first = smooth.min(), smooth.iloc[0]
    ax.set_ylim(low - 0.15 * (first - low), first + 0.6 * (first - low))
    ax.set_xlabel("learning rate")
    ax.set_ylabel("training loss (nats)")
    style.legend(fig, columns=3)
    style.frame(
        fig,
        label,
        f"Which rate does {name} learn at?",
        f"Range test of {len(table)} steps, one a rate. The dot marks where the smoothed loss falls fastest (by a line "
        "through a fifth of the steps), not its lowest point, beyond which the loss soon grows. Losses above the picture are cut off.",
    )
    return fig
