"""The figures that a study file defines, and the arms that each of them shows."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from florilegium.config.base import Counts, Name, Names, Strict, Texts
from florilegium.config.data import Init, Model
from florilegium.config.experiment import TASKS, Experiment
from florilegium.config.metrics import WORDS, PublishedLosses, check_metrics
from florilegium.core.errors import Mistakes, UserError, nearest, unknown

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
        for key in ("metrics", "marked", "experiments"):
            values = getattr(self, key, ())
            if twice := [value for value in values if values.count(value) > 1]:
                raise ValueError(f"{key}: holds {twice[0]} twice; take one out")
        if self.metrics and self.kind == "curves":
            raise ValueError("metrics: kind = curves always shows the loss and the task's main metric")
        return self


class PlotEntry(PlotFields):
    """A figure as a study file writes it."""

    experiments: Texts = Field(
        min_length=1, description="globs over `experiment` or `experiment/arm`, in the order to draw them"
    )


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
        UserError, UserErrors: two figures of one name, a glob that matches nothing in the study file, a metric or a
            value of the arms that does not exist.
    """
    by_arm = {(e.name, e.arm): e for e in experiments}
    # An experiment on several official splits may be named with and without the split's number.
    here = {arm: _globbed(*arm) | _globbed(e.unsplit_name, e.arm) for arm, e in by_arm.items()}
    everywhere = {arm: _globbed(*arm) for arm in known} | here
    mistakes = Mistakes()
    chosen: list[PlotChoice] = []
    for number, entry in enumerate(entries):
        place = f"{where}: figures.{entry.name}"
        with mistakes.caught():
            if any(entry.name.casefold() == other.name.casefold() for other in entries[:number]):
                raise UserError(f"{place}: the name stands twice (in whatever case); choose another for one of them")
        with mistakes.caught():
            _check_arms(entry, everywhere, place)
        arms = dict.fromkeys(arm for glob in entry.experiments for arm, texts in here.items() if _matches(glob, texts))
        choice = PlotChoice(**entry.model_dump(exclude={"experiments"}), arms=tuple(arms))
        with mistakes.caught():
            _check_axes(choice, [by_arm[arm] for arm in arms], place)
            chosen.append(choice)
    mistakes.refuse()
    return chosen


def _check_arms(entry: PlotEntry, everywhere: Mapping[tuple[str, str], set[str]], where: str) -> None:
    """Raise `UserError` or `UserErrors` for a glob, or the arm of published losses, that the study file lacks."""
    keys = {"/".join(arm) for arm in everywhere}
    mistakes = Mistakes()
    for glob in entry.experiments:
        with mistakes.caught():
            if not any(_matches(glob, texts) for texts in everywhere.values()):
                raise unknown("experiment", glob, keys | {name for name, _ in everywhere}, f"{where}: experiments")
    for beside in entry.published:
        with mistakes.caught():
            if tuple(beside.experiment.split("/")) not in everywhere:
                raise unknown("experiment", beside.experiment, keys, f"{where}: published")
    mistakes.refuse()


def _check_axes(choice: PlotChoice, arms: Sequence[Experiment], where: str) -> None:
    """Raise `UserError` or `UserErrors` for a metric, or a value of the arms, that does not exist; where a preset has
    none of the arms, for one that no arm of any task could have."""
    mistakes = Mistakes()
    with mistakes.caught():
        metrics = (*choice.metrics, *(x for x in (choice.x,) if x in WORDS))
        for task in dict.fromkeys(e.task for e in arms) or [None]:
            check_metrics(metrics, task, f"{where}: metrics")
    for key in ("x", "by"):
        path = getattr(choice, key)
        if path and path not in NAMED and path not in WORDS:
            with mistakes.caught():
                _check_path(path, f"{where}: {key}")
    mistakes.refuse()
    for e in arms:
        with mistakes.caught():
            plotted_values(e, [choice], where)
    mistakes.refuse()


def _check_path(path: str, where: str) -> None:
    """Raise `UserError` for a value that no experiment has, whatever its task."""
    section, _, rest = path.partition(".")
    if section not in SECTIONS or not rest:
        names = [*NAMED, *WORDS, *(f"{s}.{key}" for s in SECTIONS for key in _keys(s))]
        raise UserError(
            f"{where}: '{path}' must be experiment, arm, or a key below {', '.join(SECTIONS)}, such as recipe.lr"
            f"{nearest(path, names)}"
        )
    if rest.partition(".")[0] not in _keys(section):
        raise unknown("key", rest, _keys(section), f"{where}: {section}")


def _keys(section: str) -> list[str]:
    """The keys of a section in experiments of any task."""
    types: list[type[Strict]] = [Model] if section == "model" else [Init]
    if section in ("data", "recipe"):
        types = [getattr(task, section) for task in TASKS.values()]
    return list(dict.fromkeys(key for kind in types for key in kind.model_fields))


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
    part = getattr(experiment, section)
    value: Any = part.model_dump(mode="json") if part else {}
    for depth, key in enumerate(keys):
        if not isinstance(value, Mapping) or key not in value:
            arm = f"{experiment.unsplit_name}/{experiment.arm}"
            place = f"{where}: {arm} has no {path}; {'.'.join([section, *keys[:depth]])}"
            raise unknown("key", key, value if isinstance(value, Mapping) else (), place)
        value = value[key]
    return value
