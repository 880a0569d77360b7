"""The figures that a study file asks for."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from florilegium.config.base import Count, Name, Strict
from florilegium.config.experiment import Experiment
from florilegium.config.metrics import WORDS, PublishedLosses, check_metrics
from florilegium.core.errors import UserError, unknown

NAMED = ("experiment", "arm")  # what an arm is called, beside what it is specified by
SECTIONS = ("data", "model", "recipe", "init")


class PlotFields(Strict):
    """What is drawn, of any arms."""

    name: Name = Field(description="its file: results/<preset>/<study>/figures/<name>.png")
    kind: Literal["against", "bars", "curves", "heatmap", "seeds"] = Field(
        description="against: metrics over a value of the arms, or over another metric; bars: metrics arm by "
        "arm; curves: a pair of panels an arm with its loss and its main metric by epoch; heatmap: a metric "
        "over two values of the arms; seeds: single seeds held against all others"
    )
    title: str = Field(description="the question that it answers")
    metrics: tuple[Name, ...] = Field(
        (), strict=False, description="one panel each; empty: the main metric of the task"
    )
    x: str | None = Field(
        None,
        description="against, heatmap: `experiment`, `arm`, or a value of the arms such as "
        "recipe.freeze_blocks; against: or a metric such as seconds_per_epoch",
    )
    by: str | None = Field(
        None, description="against: one line for each value of this, written like x; heatmap: one row for each"
    )
    marked: tuple[Count, ...] = Field(
        (), strict=False, description="seeds: those that are held against all other seeds of the arms"
    )
    published: tuple[PublishedLosses, ...] = Field(
        (), strict=False, description="curves: training losses as published, drawn under an arm's own"
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

    experiments: tuple[str, ...] = Field(
        strict=False, description="globs over `experiment` or `experiment/arm`, in the order to draw them"
    )


class PlotChoice(PlotFields):
    """A figure with its arms, each as (experiment, arm); none where a preset leaves all of them out."""

    arms: tuple[tuple[str, str], ...]


def choose(
    entries: Sequence[PlotEntry], experiments: Sequence[Experiment], known: set[tuple[str, str]], where: str
) -> list[PlotChoice]:
    """The figures that can be drawn of `experiments`, the arms of one study in one preset.

    Args:
        known: (experiment, arm) of the whole study file, whatever the preset leaves out.
        where: the study file, for error sentences.

    Raises:
        UserError: two figures of one name, a glob that fits nothing in the study file, a metric or a
            value of the arms that does not exist.
    """
    by_arm = {(e.name, e.arm): e for e in experiments}
    here = {arm: _texts(*arm) | _texts(e.unsplit_name, e.arm) for arm, e in by_arm.items()}
    everywhere = {arm: _texts(*arm) for arm in known} | here
    chosen: list[PlotChoice] = []
    for entry in entries:
        place = f"{where}: figures.{entry.name}"
        if any(entry.name == other.name for other in chosen):
            raise UserError(f"{place}: the name stands twice; choose another for one of them")
        for glob in entry.experiments:
            if not any(_fits(glob, texts) for texts in everywhere.values()):
                names = {name for name, _ in everywhere} | {"/".join(arm) for arm in everywhere}
                raise unknown("experiment", glob, names, f"{place}: experiments")
        for beside in entry.published:
            if tuple(beside.experiment.split("/")) not in everywhere:
                names = {"/".join(arm) for arm in everywhere}
                raise unknown("experiment", beside.experiment, names, f"{place}: published")
        arms = dict.fromkeys(arm for glob in entry.experiments for arm, texts in here.items() if _fits(glob, texts))
        for task in dict.fromkeys(by_arm[arm].task for arm in arms) or [None]:
            check_metrics(_measured(entry), task, f"{place}: metrics")
        values = entry.model_dump(exclude={"experiments"})
        chosen.append(PlotChoice(**values, arms=tuple(arms)))
    for e in experiments:
        asked(e, chosen, f"{where}: figures")
    return chosen


def _measured(plot: PlotFields) -> tuple[str, ...]:
    """The metrics that a figure draws, those on its axis of x among them."""
    return (*plot.metrics, *(x for x in (plot.x,) if x in WORDS))


def asked(experiment: Experiment, plots: Sequence[PlotChoice], where: str) -> dict[str, Any]:
    """The values of an arm that figures draw it by: `{"recipe.batch_size": 32}`. What is measured is not
    among them."""
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
    found: Any = part.model_dump(mode="json") if part else {}
    for depth, key in enumerate(keys):
        if not isinstance(found, Mapping) or key not in found:
            place = f"{where}: {experiment.name}/{experiment.arm} has no {path}; {'.'.join([section, *keys[:depth]])}"
            raise unknown("key", key, found if isinstance(found, Mapping) else (), place)
        found = found[key]
    return found


def _texts(experiment: str, arm: str) -> set[str]:
    """The texts that a glob may mean an arm by; an experiment that is run on each official split has them with and
    without the split's number."""
    return {experiment, f"{experiment}/{arm}"}


def _fits(glob: str, texts: Iterable[str]) -> bool:
    return any(fnmatchcase(text, glob) for text in texts)
