"""From study files, a preset and a person's changes to resolved experiments.

An entry of a study file inherits from its `base` and is spread over its `grid`, its arms and the official splits of
its data; preset and `config.yaml` are laid over it. What each file says stays a layer of its own until the whole is
typed, so that an error can name the file that set the key.
"""

import fnmatch
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from florilegium.config.base import Strict, parse
from florilegium.config.data import Init, Model, Samples, split_name
from florilegium.config.experiment import TASKS, Experiment
from florilegium.config.metrics import TaskName
from florilegium.config.products import Attention, Attribution
from florilegium.config.recipes import FROM_FINDER, TrainingRecipe
from florilegium.config.study import ArmEntry, ExperimentEntry, Overlay, StudyFile
from florilegium.core.errors import UserError, unknown
from florilegium.core.system import twelve_digits
from florilegium.plan.references import connect

DEFAULT_ARM = "corrected"
SECTIONS = ("data", "model", "recipe")
EXTRAS: dict[str, type[Strict]] = {"attention": Attention, "attribution": Attribution, "samples": Samples}
S = TypeVar("S", bound=Strict)


@dataclass(frozen=True)
class Layer:
    """Values of one file for one experiment, with the file's name for error sentences.

    A general layer is for several experiments: it may change how their attention, attributions and samples are made,
    and does not ask for them.
    """

    where: str
    values: Mapping[str, Any]
    general: bool = False


@dataclass(frozen=True)
class Change:
    """What one file changes of the experiments whose name matches a glob."""

    pattern: str
    where: str
    overlay: Overlay

    def concerns(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self.pattern)


def resolve(
    study: str,
    file: StudyFile,
    *,
    where: str,
    changes: Sequence[Change],
    seeds: tuple[int, ...],
    stand_ins: Mapping[str, str],
    splits: Mapping[str, int],
) -> list[Experiment]:
    """All arms of all experiments of one study.

    Args:
        study: the study's name; the first folder of its results.
        file: the study, as read from the file named `where`.
        changes: in rising order of precedence.
        seeds: the seeds of every arm that names none.
        stand_ins: data sets that are replaced by others.
        splits: number of official splits in use by data set; each gives experiments of its own.

    Raises:
        UserError: an unknown base, experiment, key or value, or an impossible combination.
    """
    for change in changes:
        if not any(map(change.concerns, file.experiments)):
            known = (f"{study}/{name}" for name in file.experiments)
            raise unknown("experiment", f"{study}/{change.pattern}", known, change.where)
    experiments: list[Experiment] = []
    for name, entry in file.experiments.items():
        own_changes = [change for change in changes if change.concerns(name)]
        if entry.abstract or any(change.overlay.skip for change in own_changes):
            continue
        task = task_of(name, file.experiments, where)
        for suffix, layers, arms in spread(name, file.experiments, where):
            for arm_name, arm in _merge_arms(arms, own_changes).items():
                experiment = _build(
                    f"{study}/{name}{suffix}/{arm_name}",
                    task,
                    arm,
                    [*layers, *_layers_above(name, arm_name, arm, own_changes, where)],
                    study=study,
                    name=name + suffix,
                    arm=arm_name,
                    seeds=arm.seeds or seeds,
                    title=entry.title,
                    entry=name,
                    network=inherited(name, "network", file.experiments, where),
                    first_weights=inherited(name, "first_weights", file.experiments, where),
                )
                experiments += _over_splits(_with_stand_ins(experiment, stand_ins), splits)
    return connect(experiments, every_arm(file, where), where)


def every_arm(file: StudyFile, where: str) -> set[tuple[str, str]]:
    """(experiment, arm) of all that a study file describes, whatever a preset leaves out."""
    return {
        (name + suffix, arm)
        for name, entry in file.experiments.items()
        if not entry.abstract
        for suffix, _, arms in spread(name, file.experiments, where)
        for arm in arms
    }


def _merge_arms(arms: dict[str, ArmEntry], changes: Sequence[Change]) -> dict[str, ArmEntry]:
    """The arms of the study file and those that an overlay adds, but for those that one leaves out."""
    overlays = [change.overlay for change in changes]
    added = {name: arm for o in overlays for name, arm in o.arms.items() if name not in arms}
    left_out = {name for o in overlays for name in o.skip_arms}
    return {
        name: arm.model_copy(update={"seeds": _changed_seeds(name, overlays) or arm.seeds})
        for name, arm in {**arms, **added}.items()
        if name not in left_out
    }


def _changed_seeds(arm: str, overlays: Sequence[Overlay]) -> tuple[int, ...] | None:
    """The seeds of the last overlay that names some, for this arm or else for all."""
    for overlay in reversed(overlays):
        seeds = overlay.arms.get(arm, ArmEntry()).seeds or overlay.seeds
        if seeds is not None:
            return seeds
    return None


def _layers_above(name: str, arm_name: str, arm: ArmEntry, changes: Sequence[Change], where: str) -> list[Layer]:
    """The layers over those of the entry: overlays of the experiment, its arm, overlays of the arm."""
    return [
        *(Layer(c.where, values_of(c.overlay), general=c.pattern != name) for c in changes),
        Layer(where, values_of(arm)),
        *(Layer(c.where, values_of(c.overlay.arms[arm_name])) for c in changes if arm_name in c.overlay.arms),
    ]


def _build(place: str, task: TaskName, arm: ArmEntry, layers: list[Layer], /, **names: Any) -> Experiment:
    """The typed experiment at `place`; `names` are the fields that no layer has a say in."""
    kind = TASKS[task]
    data = section_of(kind.data, "data", layers, place)
    recipe = section_of(kind.recipe, "recipe", layers, place)
    try:
        kind.check(data, recipe)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None
    model = section_of(Model, "model", layers, place)
    starts = (layer.values.get("init") for layer in reversed(layers))
    init = next((start for start in starts if start is not None), None)
    return Experiment(
        task=task,
        data=data,
        model=model,
        recipe=_scaled(recipe, arm.lr_factor, place),
        init=parse(Init, init, f"{place}: init") if init else None,
        names_seeds=bool(arm.seeds),
        note=arm.note,
        lr_factor=arm.lr_factor,
        published=arm.published,
        baseline=arm.baseline,
        **names,
        **{name: extra_of(name, layers, model, task, place) for name in EXTRAS},
    )


def _scaled(recipe: TrainingRecipe, factor: float, place: str) -> TrainingRecipe:
    """The recipe with its rate multiplied."""
    if factor == 1:
        return recipe
    if recipe.lr == FROM_FINDER:
        raise UserError(f"{place}: lr_factor multiplies a number, and recipe.lr is {FROM_FINDER}; take one of them out")
    return recipe.model_copy(update={"lr": twelve_digits(recipe.base_lr * factor)})


def _with_stand_ins(e: Experiment, stand_ins: Mapping[str, str]) -> Experiment:
    return _on_data(e, lambda name: stand_ins.get(name, name))


def _over_splits(e: Experiment, splits: Mapping[str, int]) -> list[Experiment]:
    """The experiment once for each official split of the data that it uses or keeps clean of."""
    count = max(splits.get(name, 0) for name in (e.data.dataset, *e.data.clean))
    return [_on_split(e, k, splits) for k in range(1, count + 1)] if count else [e]


def _on_split(e: Experiment, k: int, splits: Mapping[str, int]) -> Experiment:
    e = _on_data(e, lambda name: split_name(name, k) if splits.get(name) else name)
    return replace(e, name=split_name(e.name, k), split=k)


def _on_data(e: Experiment, renamed: Callable[[str], str]) -> Experiment:
    """The experiment on the data sets that its own and those to keep clean of are `renamed` to."""
    names = {"dataset": renamed(e.data.dataset), "clean": tuple(map(renamed, e.data.clean))}
    return replace(e, data=e.data.model_copy(update=names))


def spread(
    name: str, entries: Mapping[str, ExperimentEntry], where: str
) -> Iterator[tuple[str, list[Layer], dict[str, ArmEntry]]]:
    """The inherited layers of an experiment, once for each point of its grid."""
    chain = _ancestors(name, entries, where)
    layers = [Layer(where, values_of(entry)) for entry in chain]
    arms = next((entry.arms for entry in reversed(chain) if entry.arms), {DEFAULT_ARM: ArmEntry()})
    grid = entries[name].grid
    for point in itertools.product(*grid.values()):
        values: dict[str, Any] = {}
        suffix = ""
        for path, value in zip(grid, point, strict=True):
            section, _, key = path.partition(".")
            if section not in SECTIONS or not key:
                raise UserError(
                    f"{where}: experiments.{name}.grid: '{path}' must be one of "
                    f"{', '.join(SECTIONS)} and a key, such as recipe.lr"
                )
            values.setdefault(section, {})[key] = value
            suffix += f"_{key}{text(value)}"
        yield suffix, [*layers, Layer(where, values)], dict(arms)


def text(value: Any) -> str:
    """A value as it stands in a name: the shortest text that is read back as the same number."""
    if not isinstance(value, float):
        return str(value)
    plain = repr(value).removesuffix(".0")
    mantissa, _, exponent = f"{value:.16e}".partition("e")
    short = f"{float(mantissa):.12g}e{int(exponent)}"
    return short if float(short) == value and len(short) < len(plain) else plain


def task_of(name: str, entries: Mapping[str, ExperimentEntry], where: str) -> TaskName:
    named = [entry.task for entry in _ancestors(name, entries, where) if entry.task]
    return named[-1] if named else "classification"


def inherited(name: str, key: str, entries: Mapping[str, ExperimentEntry], where: str) -> str:
    """A text of the entry, or else of the nearest base that has one."""
    texts = (getattr(entry, key) for entry in reversed(_ancestors(name, entries, where)))
    return next(filter(None, texts), "")


def _ancestors(name: str, entries: Mapping[str, ExperimentEntry], where: str) -> list[ExperimentEntry]:
    """The entry and its bases, the furthest base first."""
    chain: list[str] = []
    current: str | None = name
    while current is not None:
        if current not in entries:
            raise unknown("base", current, entries, f"{where}: experiments.{chain[-1]}")
        if current in chain:
            raise UserError(f"{where}: experiments.{name}: its bases form a circle ({' -> '.join([*chain, current])})")
        chain.append(current)
        current = entries[current].base
    return [entries[n] for n in reversed(chain)]


def values_of(entry: ExperimentEntry | ArmEntry | Overlay) -> dict[str, Any]:
    """Its values by section, for a layer."""
    return {section: getattr(entry, section) for section in (*SECTIONS, "init", *EXTRAS)}


def section_of(model: type[S], section: str, layers: list[Layer], place: str) -> S:
    """Merge one section over all layers; a key's error names the layer that set it last."""
    merged: dict[str, Any] = {}
    origin = place
    for layer in layers:
        for key, value in (layer.values.get(section) or {}).items():
            if key not in model.model_fields:
                raise unknown("key", key, model.model_fields, f"{layer.where}: {place}: {section}")
            merged[key] = value
            origin = layer.where
    try:
        return parse(model, merged, f"{place}: {section}")
    except UserError as error:
        key = str(error).removeprefix(f"{place}: {section}: ").split(" = ")[0]
        setter = next((layer.where for layer in reversed(layers) if key in (layer.values.get(section) or {})), origin)
        raise UserError(f"{setter}: {error}") from None


def extra_of(name: str, layers: list[Layer], model: Model, task: TaskName, place: str) -> Any:
    """The settings of a further product of a trained network, if a layer that is not general asks for it."""
    if all(layer.values.get(name) is None for layer in layers if not layer.general):
        return None
    extra = section_of(EXTRAS[name], name, layers, place)
    if isinstance(extra, Attention):
        extra.check_model(model, place)
    if isinstance(extra, Attribution) and task != "classification":
        raise UserError(f"{place}: attribution: explains classifiers alone, and this is {task}; take it out")
    return extra
