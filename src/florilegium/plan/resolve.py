"""From study files, a preset and a person's changes to resolved experiments.

Nothing here knows Snakemake. An experiment entry inherits from its `base`, is spread over its
`grid`, its arms and the official splits of its data, is overlaid by the preset and then by
`config.yaml`, and only then becomes typed, so that an error can name the file that set the key.
"""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from florilegium.core.errors import UserError, unknown
from florilegium.core.experiment import Experiment
from florilegium.core.rounding import twelve_digits
from florilegium.core.schema import ArmEntry, ExperimentEntry, Overlay, StudyFile
from florilegium.core.spec import Init, Model
from florilegium.core.tasks import TASKS, TaskName
from florilegium.core.training_recipe import FROM_FINDER, TrainingRecipe
from florilegium.core.validate import parse
from florilegium.plan.inheritance import inherited, spread, task_of
from florilegium.plan.layers import EXTRAS, Layer, extra_of, overlay_layers, section_of, values_of
from florilegium.plan.references import connect


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
        task = task_of(name, file.experiments, where)
        for suffix, layers, arms in spread(name, file.experiments, where):
            for arm_name, arm in _merge_arms(arms, changes).items():
                stack = [*layers, *overlay_layers(name, overlays), Layer(where, values_of(arm))]
                stack += [
                    Layer(source, values_of(o.arms[arm_name])) for source, o in changes if arm_name in o.arms
                ]
                experiment = _build(study, name + suffix, arm_name, task, arm, entry, stack, seeds, stand_ins)
                experiment = replace(
                    experiment,
                    entry=name,
                    network=inherited(name, "network", file.experiments, where),
                    first_weights=inherited(name, "first_weights", file.experiments, where),
                )
                found += _over_splits(experiment, splits)
    return connect(found, every_arm(file, where), where)


def every_arm(file: StudyFile, where: str) -> set[tuple[str, str]]:
    """(experiment, arm) of all that a study file describes, whatever a preset leaves out."""
    return {
        (name + suffix, arm)
        for name, entry in file.experiments.items()
        if not entry.abstract
        for suffix, _, arms in spread(name, file.experiments, where)
        for arm in arms
    }


def _merge_arms(arms: dict[str, ArmEntry], changes: list[tuple[str, Overlay]]) -> dict[str, ArmEntry]:
    """The arms of the study file and those that an overlay adds, but for those that one leaves out."""
    added = {name: arm for _, overlay in changes for name, arm in overlay.arms.items() if name not in arms}
    left_out = {name for _, overlay in changes for name in overlay.skip_arms}
    return {
        name: arm.model_copy(update={"seeds": _changed_seeds(name, changes) or arm.seeds})
        for name, arm in {**arms, **added}.items()
        if name not in left_out
    }


def _changed_seeds(arm: str, changes: list[tuple[str, Overlay]]) -> tuple[int, ...] | None:
    """The seeds of the last overlay that names some, for this arm or else for all."""
    for _, overlay in reversed(changes):
        entry = overlay.arms.get(arm, ArmEntry())
        seeds = entry.seeds or overlay.seeds
        if seeds is not None:
            return seeds
    return None


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
    data: Any = section_of(kind.data, "data", layers, place)
    recipe = section_of(kind.recipe, "recipe", layers, place)
    try:
        kind.check(data, recipe)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None
    model = section_of(Model, "model", layers, place)
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
        names_seeds=bool(arm.seeds),
        title=entry.title,
        note=arm.note,
        lr_factor=arm.lr_factor,
        published=arm.published,
        baseline=arm.baseline,
        **{name: extra_of(name, layers, model, task, place) for name in EXTRAS},
    )


def _scaled(recipe: TrainingRecipe, factor: float, place: str) -> TrainingRecipe:
    """The recipe with its rate multiplied."""
    if factor == 1:
        return recipe
    if recipe.lr == FROM_FINDER:
        raise UserError(
            f"{place}: lr_factor multiplies a number, and recipe.lr is {FROM_FINDER}; take one of them out"
        )
    return recipe.model_copy(update={"lr": twelve_digits(recipe.base_lr * factor)})


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
