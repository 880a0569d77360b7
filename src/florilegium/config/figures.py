"""The figures that a study file defines, and the arms that each of them shows."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from florilegium.config.base import Counts, Name, Names, Strict, Texts
from florilegium.config.experiment import Experiment
from florilegium.config.metrics import WORDS, PublishedLosses, check_metrics
from florilegium.core.errors import UserError, unknown

NAMED = ("experiment", "arm")  # names of an arm, beside the values that specify it
SECTIONS = ("data", "model", "recipe", "init")


class PlotFields(Strict):
    """A figure without its arms."""

    name: Name = Field(description="the file is results/<preset>/<study>/figures/<name>.png")
    kind: Literal["against", "bars", "curves", "heatmap", "seeds"] = Field(
        description="against: metrics over a value of the arms, or over another metric; bars: metrics of each arm; "
        "curves: loss and main metric of each arm by epoch; heatmap: a metric over two values of the arms; seeds: "
        "single seeds compared with all others"
    )
    title: str = Field(description="the question that the figure answers")
    metrics: Names = Field((), description="one panel each; empty: the main metric of the task")
    x: str | None = Field(
        None,
        description="against, heatmap: `experiment`, `arm`, or a value of the arms such as recipe.freeze_blocks; "
        "against also takes a metric such as seconds_per_epoch",
    )
    by: str | None = Field(None, description="against: one line for each value of this; heatmap: one row each")
    marked: Counts = Field((), description="seeds: those that are compared with all other seeds of the arms")
    published: tuple[PublishedLosses, ...] = Field(
        (), strict=False, description="curves: published training losses, drawn below those of an arm"
    )

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        is_map = self.kind == "heatmap"
        if (self.x is not None) != (is_map or self.kind == "against"):
            raise ValueError("x: is needed by kind = against and kind = heatmap, and by no other kind")
        if (self.by is None and is_map) or (self.by is not None and not (is_map or self.kind == "against")):
            raise ValueError("by: is needed by kind = heatmap, and belongs to kind = against alone beside it")
        if is_map and self.x in WORDS:
            raise ValueError("x: kind = heatmap is drawn over values of the arms, not over a metric")
        if bool(self.marked) != (self.kind == "seeds"):
            raise ValueError("marked: is needed by kind = seeds, and by no other kind")
        if self.published and self.kind != "curves":
            raise ValueError("published: belongs to kind = curves")
        if self.metrics and self.kind == "curves":
            raise ValueError("metrics: kind = curves always shows the loss and the task's main metric")
        return self


class PlotEntry(PlotFields):
    """A figure as a study file writes it."""

    experiments: Texts = Field(description="globs over `experiment` or `experiment/arm`, in the order to draw them")


class PlotChoice(PlotFields):
    """A figure with its arms, each as (experiment, arm); none where a preset leaves all of them out."""

    arms: tuple[tuple[str, str], ...]


def choose(
    entries: Sequence[PlotEntry], experiments: Sequence[Experiment], known: set[tuple[str, str]], where: str
) -> list[PlotChoice]:
    """The figures of one study in one preset, whose arms are `experiments`.

    Args:
        known: (experiment, arm) of the whole study file, with those that the preset leaves out.
        where: the study file, for error messages.

    Raises:
        UserError: two figures of one name, a glob that matches nothing in the study file, a metric or a value of the
            arms that does not exist.
    """
    by_arm = {(e.name, e.arm): e for e in experiments}
    # An experiment on several official splits may be named with and without the split's number.
    here = {arm: _globbed(*arm) | _globbed(e.unsplit_name, e.arm) for arm, e in by_arm.items()}
    everywhere = {arm: _globbed(*arm) for arm in known} | here
    keys = {"/".join(arm) for arm in everywhere}
    chosen: list[PlotChoice] = []
    for entry in entries:
        place = f"{where}: figures.{entry.name}"
        if any(entry.name == other.name for other in chosen):
            raise UserError(f"{place}: the name stands twice; choose another for one of them")
        for glob in entry.experiments:
            if not any(_matches(glob, texts) for texts in everywhere.values()):
                raise unknown("experiment", glob, keys | {name for name, _ in everywhere}, f"{place}: experiments")
        for beside in entry.published:
            if tuple(beside.experiment.split("/")) not in everywhere:
                raise unknown("experiment", beside.experiment, keys, f"{place}: published")
        arms = dict.fromkeys(arm for glob in entry.experiments for arm, texts in here.items() if _matches(glob, texts))
        metrics = (*entry.metrics, *(x for x in (entry.x,) if x in WORDS))
        for task in dict.fromkeys(by_arm[arm].task for arm in arms) or [None]:
            check_metrics(metrics, task, f"{place}: metrics")
        chosen.append(PlotChoice(**entry.model_dump(exclude={"experiments"}), arms=tuple(arms)))
    for e in experiments:
        plotted_values(e, chosen, f"{where}: figures")
    return chosen


def _globbed(experiment: str, arm: str) -> set[str]:
    """The texts that a glob is matched with to find an arm."""
    return {experiment, f"{experiment}/{arm}"}


def _matches(glob: str, texts: Iterable[str]) -> bool:
    return any(fnmatchcase(text, glob) for text in texts)


def plotted_values(experiment: Experiment, plots: Sequence[PlotChoice], where: str) -> dict[str, Any]:
    """The values of an arm on the axes of figures, without metrics: `{"recipe.batch_size": 32}`.

    Raises:
        UserError: an axis names a value that the arm does not have; the message starts with `where`.
    """
    key = (experiment.name, experiment.arm)
    paths = [path for plot in plots if key in plot.arms for path in (plot.x, plot.by)]
    return {path: _value(experiment, path, where) for path in paths if path and path not in NAMED and path not in WORDS}


def _value(experiment: Experiment, path: str, where: str) -> Any:
    section, *keys = path.split(".")
    if section not in SECTIONS or not keys:
        raise UserError(
            f"{where}: '{path}' must be experiment, arm, or a key below {', '.join(SECTIONS)}, such as recipe.lr"
        )
    part = getattr(experiment, section)
    value: Any = part.model_dump(mode="json") if part else {}
    for depth, key in enumerate(keys):
        if not isinstance(value, Mapping) or key not in value:
            place = f"{where}: {experiment.name}/{experiment.arm} has no {path}; {'.'.join([section, *keys[:depth]])}"
            raise unknown("key", key, value if isinstance(value, Mapping) else (), place)
        value = value[key]
    return value
