"""From study files, a preset and a person's changes to resolved experiments.

Nothing here knows Snakemake. An experiment entry inherits from its `base`, is spread over its
`grid`, its arms and the official splits of its data, is overlaid by the preset and then by
`config.yaml`, and only then becomes typed, so that an error can name the file that set the key.
"""

import fnmatch
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from florilegium.core.attention_settings import Attention
from florilegium.core.attribution_settings import Attribution
from florilegium.core.errors import UserError, unknown
from florilegium.core.experiment import Experiment
from florilegium.core.references import connect
from florilegium.core.sampling import Samples
from florilegium.core.schema import ArmEntry, ExperimentEntry, Overlay, StudyFile
from florilegium.core.spec import Init, Model
from florilegium.core.strict import Strict
from florilegium.core.tasks import TASKS, TaskName
from florilegium.core.training_recipe import FROM_FINDER, TrainingRecipe
from florilegium.core.validate import parse

SECTIONS = ("data", "model", "recipe")
EXTRAS: dict[str, type[Strict]] = {"attention": Attention, "attribution": Attribution, "samples": Samples}
DEFAULT_ARM = "corrected"
S = TypeVar("S", bound=Strict)


@dataclass(frozen=True)
class Layer:
    """Values of one file for one experiment, with the file's name for error sentences.

    A general layer is for several experiments: it changes what is looked at of their attention, and
    does not ask for it.
    """

    where: str
    values: Mapping[str, Any]
    general: bool = False


def resolve(
    study: str,
    file: StudyFile,
    *,
    where: str,
    overlays: Sequence[tuple[str, str, Overlay]],
    seeds: tuple[int, ...],
    stand_ins: Mapping[str, str],
    splits: Mapping[str, int],
) -> list[Experiment]:
    """All arms of all experiments of one study.

    Args:
        study: the study's name; the first folder of its results.
        file: the study, as read from the file named `where`.
        overlays: changes in rising order of precedence: the experiments' name or glob, the file that says
            so, and the change.
        seeds: the seeds of every arm that names none.
        stand_ins: data sets that are replaced by others.
        splits: number of official splits in use by data set; each gives experiments of its own.

    Raises:
        UserError: an unknown base, experiment, key or value, or an impossible combination.
    """
    for pattern, source, _ in overlays:
        if not fnmatch.filter(file.experiments, pattern):
            known = (f"{study}/{name}" for name in file.experiments)
            raise unknown("experiment", f"{study}/{pattern}", known, source)
    found: list[Experiment] = []
    for name, entry in file.experiments.items():
        changes = [(source, o) for pattern, source, o in overlays if fnmatch.fnmatchcase(name, pattern)]
        if entry.abstract or any(overlay.skip for _, overlay in changes):
            continue
        task = _task(name, file.experiments, where)
        for suffix, layers, arms in _spread(name, file.experiments, where):
            for arm_name, arm in _merge_arms(arms, changes).items():
                stack = [*layers, *_overlay_layers(name, overlays), Layer(where, _arm_values(arm))]
                stack += [
                    Layer(source, _arm_values(o.arms[arm_name]))
                    for source, o in changes
                    if arm_name in o.arms
                ]
                experiment = _build(study, name + suffix, arm_name, task, arm, entry, stack, seeds, stand_ins)
                found += _over_splits(experiment, splits)
    return connect(found, where)


def every_arm(file: StudyFile, where: str) -> set[tuple[str, str]]:
    """(experiment, arm) of all that a study file describes, whatever a preset leaves out."""
    return {
        (name + suffix, arm)
        for name, entry in file.experiments.items()
        if not entry.abstract
        for suffix, _, arms in _spread(name, file.experiments, where)
        for arm in arms
    }


def _spread(
    name: str, entries: Mapping[str, ExperimentEntry], where: str
) -> Iterator[tuple[str, list[Layer], dict[str, ArmEntry]]]:
    """The inherited layers of an experiment, once for each point of its grid."""
    chain = _ancestors(name, entries, where)
    layers = [Layer(where, _entry_values(entry)) for entry in chain]
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


def _task(name: str, entries: Mapping[str, ExperimentEntry], where: str) -> TaskName:
    named = [entry.task for entry in _ancestors(name, entries, where) if entry.task]
    return named[-1] if named else "classification"


def _ancestors(name: str, entries: Mapping[str, ExperimentEntry], where: str) -> list[ExperimentEntry]:
    """The entry and its bases, the furthest base first."""
    chain: list[str] = []
    current: str | None = name
    while current is not None:
        if current not in entries:
            raise unknown("base", current, entries, f"{where}: experiments.{chain[-1]}")
        if current in chain:
            raise UserError(
                f"{where}: experiments.{name}: its bases form a circle ({' -> '.join([*chain, current])})"
            )
        chain.append(current)
        current = entries[current].base
    return [entries[n] for n in reversed(chain)]


def _entry_values(entry: ExperimentEntry) -> dict[str, Any]:
    return {section: getattr(entry, section) for section in (*SECTIONS, "init", *EXTRAS)}


def _arm_values(arm: ArmEntry) -> dict[str, Any]:
    return {section: getattr(arm, section) for section in (*SECTIONS, "init", *EXTRAS)}


def _overlay_layers(name: str, overlays: Sequence[tuple[str, str, Overlay]]) -> list[Layer]:
    """A layer for each overlay of the experiment; one that does not name it alone is general."""
    return [
        Layer(
            source,
            {section: getattr(o, section) for section in (*SECTIONS, "init", *EXTRAS)},
            pattern != name,
        )
        for pattern, source, o in overlays
        if fnmatch.fnmatchcase(name, pattern)
    ]


def _merge_arms(arms: dict[str, ArmEntry], changes: list[tuple[str, Overlay]]) -> dict[str, ArmEntry]:
    """The arms of the study file and those that an overlay adds, but for those that one leaves out.

    The last overlay that names seeds has them.
    """
    added = {name: arm for _, overlay in changes for name, arm in overlay.arms.items() if name not in arms}
    left_out = {name for _, overlay in changes for name in overlay.skip_arms}
    seeds = next((overlay.seeds for _, overlay in reversed(changes) if overlay.seeds is not None), None)
    return {
        name: arm if seeds is None else arm.model_copy(update={"seeds": seeds})
        for name, arm in {**arms, **added}.items()
        if name not in left_out
    }


def _build(
    study: str,
    name: str,
    arm_name: str,
    task: TaskName,
    arm: ArmEntry,
    entry: ExperimentEntry,
    layers: list[Layer],
    seeds: tuple[int, ...],
    stand_ins: Mapping[str, str],
) -> Experiment:
    place = f"{study}/{name}/{arm_name}"
    kind = TASKS[task]
    data: Any = _section(kind.data, "data", layers, place)
    recipe = _section(kind.recipe, "recipe", layers, place)
    try:
        kind.check(data, recipe)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None
    model = _section(Model, "model", layers, place)
    starts = (layer.values.get("init") for layer in reversed(layers))
    init = next((start for start in starts if start is not None), None)
    return Experiment(
        study=study,
        name=name,
        arm=arm_name,
        task=task,
        data=data.model_copy(
            update={
                "dataset": stand_ins.get(data.dataset, data.dataset),
                "clean": tuple(stand_ins.get(c, c) for c in data.clean),
            }
        ),
        model=model,
        recipe=_scaled(recipe, arm.lr_factor, place),
        init=parse(Init, init, f"{place}: init") if init else None,
        seeds=arm.seeds or seeds,
        title=entry.title,
        note=arm.note,
        lr_factor=arm.lr_factor,
        published=arm.published,
        baseline=arm.baseline,
        **{name: _extra(name, layers, model, task, place) for name in EXTRAS},
    )


def _extra(name: str, layers: list[Layer], model: Model, task: TaskName, place: str) -> Any:
    """What else is asked of a trained network, when a layer that is not general asks for it."""
    if all(layer.values.get(name) is None for layer in layers if not layer.general):
        return None
    extra = _section(EXTRAS[name], name, layers, place)
    if isinstance(extra, Attention):
        extra.check_model(model, place)
    if isinstance(extra, Attribution) and task != "classification":
        raise UserError(f"{place}: attribution: explains classifiers alone, and this is {task}; take it out")
    return extra


def _scaled(recipe: TrainingRecipe, factor: float, place: str) -> TrainingRecipe:
    """The recipe with its rate multiplied."""
    if factor == 1:
        return recipe
    if recipe.lr == FROM_FINDER:
        raise UserError(
            f"{place}: lr_factor multiplies a number, and recipe.lr is {FROM_FINDER}; take one of them out"
        )
    return recipe.model_copy(update={"lr": float(f"{recipe.base_lr * factor:.12g}")})


def _section(model: type[S], section: str, layers: list[Layer], place: str) -> S:
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
        setter = next(
            (layer.where for layer in reversed(layers) if key in (layer.values.get(section) or {})), origin
        )
        raise UserError(f"{setter}: {error}") from None


def _over_splits(experiment: Experiment, splits: Mapping[str, int]) -> list[Experiment]:
    """The experiment once for each official split of the data that it uses or keeps clean of."""
    named = {experiment.data.dataset, *experiment.data.clean}
    count = max((splits.get(name, 0) for name in named), default=0)
    if not count:
        return [experiment]
    return [_on_split(experiment, k, splits) for k in range(1, count + 1)]


def _on_split(experiment: Experiment, k: int, splits: Mapping[str, int]) -> Experiment:
    def of(name: str) -> str:
        return f"{name}_split{k}" if splits.get(name) else name

    data = experiment.data
    data = data.model_copy(update={"dataset": of(data.dataset), "clean": tuple(of(c) for c in data.clean)})
    return replace(experiment, name=f"{experiment.name}_split{k}", data=data)
