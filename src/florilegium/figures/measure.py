"""What the figures that a study file asks for are drawn of: arms, their values, a metric in the units of an axis."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from florilegium.config.figures import PlotChoice
from florilegium.config.metrics import CLOCKED
from florilegium.figures import marks, style
from florilegium.figures.material import Material
from florilegium.figures.registry import Plot, members
from florilegium.report.runs import counted, value
from florilegium.report.statistics import Interval
from florilegium.report.study import Entry
from florilegium.report.tables import axis

NAMES = {
    "data.generated.share": "generated images to each real one",
    "recipe.lr": "learning rate",
    "recipe.freeze_blocks": "frozen blocks",
    "recipe.focal_alpha": "focal loss: α",
    "recipe.focal_gamma": "focal loss: γ",
}


@dataclass(frozen=True)
class Measure:
    """A metric in the units of an axis: `scale` times its values, under `label`."""

    material: Material
    metric: str
    label: str
    scale: float

    @classmethod
    def of(cls, material: Material, entries: Sequence[Entry], metric: str) -> "Measure":
        """In units that suit the largest mean of these arms."""
        means = [material.summary(metric, entry)[0] for entry in entries]
        return cls(material, metric, *axis(metric, float(np.nanmax([0.0, *means]))))

    def summary(self, entry: Entry) -> Interval:
        mean, low, high = self.material.summary(self.metric, entry)
        return self.scale * mean, self.scale * low, self.scale * high

    def runs(self, entry: Entry) -> list[float]:
        return [self.scale * value(run, self.metric) for run in counted(self.metric, self.material.runs[entry.key])]

    def add_bands(self, ax: Axes, entry: Entry, at: float, half: float, *, upright: bool) -> None:
        """Draw the published values of an arm."""
        for claim in entry.published:
            if claim.metric == self.metric:
                marks.band(ax, self.scale * claim.low, self.scale * claim.high, at, half, upright=upright)


def asked(material: Material, plot: Plot) -> tuple[PlotChoice, list[Entry], tuple[str, ...]]:
    """The study file's entry of a figure, its arms, and its metrics: the main one where it names none."""
    assert plot.choice is not None
    entries = members(material.study, plot)
    return plot.choice, entries, plot.choice.metrics or (entries[0].scoring.main,)


def with_published(entries: Sequence[Entry], metrics: Sequence[str]) -> list[Entry]:
    """The arms of which some of these metrics were published."""
    return [entry for entry in entries if any(claim.metric in metrics for claim in entry.published)]


def clock(metrics: Iterable[str]) -> str:
    """What a caption says where the hardware decides some of these metrics."""
    is_clocked = not set(CLOCKED).isdisjoint(metrics)
    return " Times and memory are those of the hardware that the table of costs names." if is_clocked else ""


# Values of arms


def value_of(entry: Entry, path: str) -> Any:
    """The name of an arm or of its experiment, or a value that it is specified by."""
    return {"experiment": entry.experiment, "arm": entry.arm}.get(path, entry.values.get(path))


def text(value: Any) -> str:
    """Such a value, for people."""
    if value is None:
        return "default"
    if isinstance(value, list):
        return ", ".join(map(text, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else style.title(str(value)).replace("_", " ")


def name_of(path: str) -> str:
    """The name of a value of the arms, for people."""
    return NAMES.get(path, path.split(".")[-1].replace("_", " "))


def is_numeric(values: Iterable[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
