"""Experiments of a study file, resolved: defaults, changes of preset and configuration, arms, grids, references."""

import fnmatch
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from florilegium.config.base import Strict, parse
from florilegium.config.data import Init, Model, Samples, split_name
from florilegium.config.experiment import TASKS, Experiment
from florilegium.config.metrics import Baseline, Published, TaskName
from florilegium.config.products import Attention, Attribution
from florilegium.config.recipes import FROM_FINDER, GenerationRecipe, TrainingRecipe
from florilegium.config.study import ArmEntry, ExperimentEntry, Overlay, Sections, StudyFile
from florilegium.core.errors import UserError, unknown
from florilegium.core.system import twelve_digits

DEFAULT_ARM = "corrected"
SECTIONS = ("data", "model", "recipe")
PRODUCTS: dict[str, type[Strict]] = {"attention": Attention, "attribution": Attribution, "samples": Samples}
S = TypeVar("S", bound=Strict)


@dataclass(frozen=True)
class Layer:
    """The sections that one file sets for one experiment.

    Attributes:
        where: the file, for error messages.
        is_general: it is for several experiments, so that it changes their products (attention, attribution, samples)
            but does not add any.
    """

    where: str
    sections: Mapping[str, Any]
    is_general: bool = False


def _layer(where: str, entry: Sections, *, is_general: bool = False) -> Layer:
    return Layer(where, {name: getattr(entry, name) for name in (*SECTIONS, "init", *PRODUCTS)}, is_general)


@dataclass(frozen=True)
class Change:
    """The changes of one file to the experiments whose name matches a glob."""

    pattern: str
    where: str
    overlay: Overlay

    def concerns(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self.pattern)


@dataclass(frozen=True)
class LoadedStudy:
    """A study file: its name, which is the first folder of its results, its path for error messages, its content."""

    name: str
    where: str
    file: StudyFile

    def own(self, experiments: Iterable[Experiment]) -> list[Experiment]:
        """Those of the experiments that belong to the study."""
        return [e for e in experiments if e.study == self.name]

    def arms(self) -> set[tuple[str, str]]:
        """(experiment, arm) of everything in the file, with those that a preset leaves out."""
        names = [name for name, entry in self.file.experiments.items() if not entry.abstract]
        return {(name + suffix, arm) for name in names for suffix, _, arms in _grid(name, self) for arm in arms}


def resolve(
    study: LoadedStudy,
    changes: Sequence[Change],
    seeds: tuple[int, ...],
    stand_ins: Mapping[str, str],
    splits: Mapping[str, int],
) -> list[Experiment]:
    """All arms of all experiments of one study.

    Args:
        changes: in rising order of precedence.
        seeds: the seeds of every arm that names none.
        stand_ins: data sets that are replaced by others.
        splits: number of official splits in use by data set; each gives experiments of its own.

    Raises:
        UserError: an unknown base, experiment, key or value, or an impossible combination.
    """
    entries = study.file.experiments
    for change in changes:
        if not any(map(change.concerns, entries)):
            known = (f"{study.name}/{name}" for name in entries)
            raise unknown("experiment", f"{study.name}/{change.pattern}", known, change.where)
    experiments: list[Experiment] = []
    for name, entry in entries.items():
        own_changes = [change for change in changes if change.concerns(name)]
        if entry.abstract or any(change.overlay.skip for change in own_changes):
            continue
        chain = _ancestors(name, study)
        for suffix, layers, arms in _grid(name, study):
            for arm_name, arm in _merge_arms(arms, own_changes).items():
                experiment = _build(
                    f"{study.name}/{name}{suffix}/{arm_name}",
                    next((e.task for e in reversed(chain) if e.task), "classification"),
                    arm,
                    [*layers, *_overlays(name, arm_name, arm, own_changes, study.where)],
                    study=study.name,
                    name=name + suffix,
                    arm=arm_name,
                    seeds=arm.seeds or seeds,
                    title=entry.title,
                    entry=name,
                    network=next((e.network for e in reversed(chain) if e.network), ""),
                    first_weights=next((e.first_weights for e in reversed(chain) if e.first_weights), ""),
                )
                experiments += _over_splits(_on_data(experiment, lambda data: stand_ins.get(data, data)), splits)
    return connect(experiments, study.arms(), study.where)


# Entries, grids, arms


def _ancestors(name: str, study: LoadedStudy) -> list[ExperimentEntry]:
    """The entry and its bases, the furthest base first."""
    entries, where = study.file.experiments, study.where
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


def _grid(name: str, study: LoadedStudy) -> Iterator[tuple[str, list[Layer], dict[str, ArmEntry]]]:
    """For each point of an experiment's grid: the end of its name, its layers, its arms."""
    chain, where = _ancestors(name, study), study.where
    layers = [_layer(where, entry) for entry in chain]
    arms = next((entry.arms for entry in reversed(chain) if entry.arms), {DEFAULT_ARM: ArmEntry()})
    grid = chain[-1].grid
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
            suffix += f"_{key}{in_name(value)}"
        yield suffix, [*layers, Layer(where, values)], dict(arms)


def in_name(value: Any) -> str:
    """A value in a name: the shortest text that reads back as the same number."""
    if not isinstance(value, float):
        return str(value)
    plain = repr(value).removesuffix(".0")
    mantissa, _, exponent = f"{value:.16e}".partition("e")
    short = f"{float(mantissa):.12g}e{int(exponent)}"
    return short if float(short) == value and len(short) < len(plain) else plain


def _merge_arms(arms: dict[str, ArmEntry], changes: Sequence[Change]) -> dict[str, ArmEntry]:
    """The arms of the study file and those that overlays add, without those that an overlay leaves out."""
    overlays = [change.overlay for change in changes]
    added = {name: arm for overlay in overlays for name, arm in overlay.arms.items() if name not in arms}
    left_out = {name for overlay in overlays for name in overlay.skip_arms}
    return {
        name: arm.model_copy(update={"seeds": _changed_seeds(name, overlays) or arm.seeds})
        for name, arm in {**arms, **added}.items()
        if name not in left_out
    }


def _changed_seeds(arm: str, overlays: Sequence[Overlay]) -> tuple[int, ...] | None:
    """The seeds of the last overlay that sets some, for this arm or else for all."""
    for overlay in reversed(overlays):
        seeds = overlay.arms.get(arm, ArmEntry()).seeds or overlay.seeds
        if seeds is not None:
            return seeds
    return None


def _overlays(name: str, arm_name: str, arm: ArmEntry, changes: Sequence[Change], where: str) -> list[Layer]:
    """The layers above those of the entry: overlays of the experiment, its arm, overlays of the arm."""
    return [
        *(_layer(c.where, c.overlay, is_general=c.pattern != name) for c in changes),
        _layer(where, arm),
        *(_layer(c.where, c.overlay.arms[arm_name]) for c in changes if arm_name in c.overlay.arms),
    ]


# Typed sections


def _build(place: str, task: TaskName, arm: ArmEntry, layers: list[Layer], /, **fields: Any) -> Experiment:
    """The typed experiment `place`; `fields` are those that no layer sets."""
    types = TASKS[task]
    data = _section(types.data, "data", layers, place)
    recipe = _section(types.recipe, "recipe", layers, place)
    try:
        types.check(data, recipe)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None
    model = _section(Model, "model", layers, place)
    inits = (layer.sections.get("init") for layer in reversed(layers))
    init = next((init for init in inits if init is not None), None)
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
        **fields,
        **{name: _product(name, layers, model, task, place) for name in PRODUCTS},
    )


def _section(model: type[S], section: str, layers: list[Layer], place: str) -> S:
    """One section, merged over all layers; an error names the layer that set the key last."""
    merged: dict[str, Any] = {}
    origin = place
    for layer in layers:
        for key, value in (layer.sections.get(section) or {}).items():
            if key not in model.model_fields:
                raise unknown("key", key, model.model_fields, f"{layer.where}: {place}: {section}")
            merged[key] = value
            origin = layer.where
    try:
        return parse(model, merged, f"{place}: {section}")
    except UserError as error:
        key = str(error).removeprefix(f"{place}: {section}: ").split(" = ")[0]
        setters = (layer.where for layer in reversed(layers) if key in (layer.sections.get(section) or {}))
        raise UserError(f"{next(setters, origin)}: {error}") from None


def _product(name: str, layers: list[Layer], model: Model, task: TaskName, place: str) -> Any:
    """The settings of a further product of the trained network, if a layer that is not general adds it."""
    if all(layer.sections.get(name) is None for layer in layers if not layer.is_general):
        return None
    product = _section(PRODUCTS[name], name, layers, place)
    if isinstance(product, Attention):
        product.check_model(model, place)
    if isinstance(product, Attribution) and task != "classification":
        raise UserError(f"{place}: attribution: explains classifiers alone, and this is {task}; take it out")
    return product


def _scaled(recipe: TrainingRecipe, factor: float, place: str) -> TrainingRecipe:
    """The recipe with its learning rate multiplied."""
    if factor == 1:
        return recipe
    if recipe.lr == FROM_FINDER:
        raise UserError(f"{place}: lr_factor multiplies a number, and recipe.lr is {FROM_FINDER}; take one of them out")
    return recipe.model_copy(update={"lr": twelve_digits(recipe.base_lr * factor)})


# Stand-ins and official splits


def _over_splits(e: Experiment, splits: Mapping[str, int]) -> list[Experiment]:
    """The experiment once for each official split of the data sets that it uses or is kept clean of."""
    count = max(splits.get(name, 0) for name in (e.data.dataset, *e.data.clean))
    return [_on_split(e, k, splits) for k in range(1, count + 1)] or [e]


def _on_split(e: Experiment, k: int, splits: Mapping[str, int]) -> Experiment:
    e = _on_data(e, lambda name: split_name(name, k) if splits.get(name) else name)
    return replace(e, name=split_name(e.name, k), split=k)


def _on_data(e: Experiment, renamed: Callable[[str], str]) -> Experiment:
    """The experiment with `renamed` data sets, and data sets to be kept clean of."""
    names = {"dataset": renamed(e.data.dataset), "clean": tuple(map(renamed, e.data.clean))}
    return replace(e, data=e.data.model_copy(update=names))


Target = TypeVar("Target", Init, Baseline)
Arm = tuple[str, str]


# References between experiments


def connect(experiments: Sequence[Experiment], known: set[Arm], where: str) -> list[Experiment]:
    """Point every `init`, `baseline` and published `against` to the experiment on the same official split.

    A baseline that a preset leaves out is dropped, and so is a published number relative to such an arm; initial
    weights cannot be left out.

    Args:
        known: (experiment, arm) of the whole study file, with those that the preset leaves out.

    Raises:
        UserError: weights from an experiment that does not exist, or from the experiment itself; a published number
            relative to an arm that the study does not have; generated images, or a judge, that do not exist.
    """
    arms = {(e.name, e.arm) for e in experiments}
    connected = []
    for e in experiments:
        init = e.init
        if init is not None and init.experiment is not None:
            init = _on_same_split(e, init, arms)
            if init is None:
                raise _unknown(f"{e.init.experiment}/{e.init.arm}" if e.init else "", arms, f"{where}: {e.name}: init")
        baseline = _on_same_split(e, e.baseline, arms) if e.baseline else None
        connected.append(replace(e, init=init, baseline=baseline, published=tuple(_published(e, arms, known, where))))
    _check_circles(connected, where)
    _check_generators(connected, where)
    return connected


def _unknown(arm: str, known: set[Arm], where: str) -> UserError:
    return unknown("experiment", arm, ("/".join(arm) for arm in known), where)


def _published(e: Experiment, arms: set[Arm], known: set[Arm], where: str) -> Iterator[Published]:
    for number in e.published:
        against = _on_same_split(e, number.against, arms) if number.against else None
        if number.against is None or against is not None:
            yield number.model_copy(update={"against": against})
        elif (number.against.experiment, number.against.arm) not in known:
            place = f"{where}: {e.name}/{e.arm}: published: against"
            raise _unknown(f"{number.against.experiment}/{number.against.arm}", known, place)


def _on_same_split(e: Experiment, target: Target, arms: set[Arm]) -> Target | None:
    for name in (split_name(str(target.experiment), e.split), str(target.experiment)):
        if (name, target.arm) in arms:
            return target.model_copy(update={"experiment": name})
    return None


def _check_circles(experiments: Sequence[Experiment], where: str) -> None:
    origin = {(e.name, e.arm): (e.init.experiment, e.init.arm) for e in experiments if e.init and e.init.experiment}
    for start in origin:
        seen = [start]
        while (following := origin.get(seen[-1])) is not None:
            if following in seen:
                path = " <- ".join("/".join(step) for step in [*seen, following])
                raise UserError(f"{where}: {start[0]}: init: its weights come from itself ({path})")
            seen.append(following)


def _check_generators(experiments: Sequence[Experiment], where: str) -> None:
    by_arm = {(e.name, e.arm): e for e in experiments}
    sets = {f"{e.name}/{e.arm}/{name}": e for e in experiments if e.samples for name in e.samples.sets}
    for e in experiments:
        place = f"{where}: {e.name}/{e.arm}"
        _check_samples(e, place)
        if generated := getattr(e.data, "generated", None):
            name = f"{generated.experiment}/{generated.arm}/{generated.samples}"
            if name not in sets:
                raise unknown("set of generated images", name, sets, f"{place}: data.generated")
            _check_seeds(e, sets[name], f"{place}: data.generated")
        if judge := e.samples.judge if e.samples else None:
            if (judge.experiment, judge.arm) not in by_arm:
                raise _unknown(f"{judge.experiment}/{judge.arm}", set(by_arm), f"{place}: samples.judge")
            _check_seeds(e, by_arm[judge.experiment, judge.arm], f"{place}: samples.judge")


def _check_samples(e: Experiment, place: str) -> None:
    """Refuse samples of an experiment without a generator, and more denoising steps than it has timesteps."""
    if e.samples is None:
        return
    if not isinstance(e.recipe, GenerationRecipe):
        raise UserError(
            f"{place}: samples: are made by generators, and the experiment's task is {e.task}; take samples out"
        )
    most = e.recipe.timesteps
    for name, sampling in e.samples.sets.items():
        if (sampling.steps or 0) > most:
            raise UserError(
                f"{place}: samples.sets.{name}.steps = {sampling.steps}: is more than recipe.timesteps = {most}; give "
                f"{most} at most, or raise recipe.timesteps"
            )


def _check_seeds(e: Experiment, other: Experiment, place: str) -> None:
    absent = sorted(set(e.seeds) - set(other.seeds))
    if absent:
        raise UserError(f"{place}: {other.name}/{other.arm} has no seed {absent[0]}; give both the same seeds")


def check_tests(experiments: Sequence[Experiment], where: str) -> None:
    """Raise `UserError` where two arms of a study that are compared have other test images, or no seed in common.

    If only one of them names its own seeds, the seeds of the other may be a user's choice for all arms: then the
    comparison has no test.
    """
    by_arm = {(e.name, e.arm): e for e in experiments}
    for e in experiments:
        for target in (e.baseline, *(number.against for number in e.published)):
            if target is not None:
                _check_test(e, by_arm[target.experiment, target.arm], where)


def _check_test(e: Experiment, other: Experiment, where: str) -> None:
    place = f"{where}: {e.name}/{e.arm}: is compared with {other.name}/{other.arm}"
    if _tested_on(e) != _tested_on(other):
        raise UserError(
            f"{place}, which is tested on other images; give both the same task, data set, test splits and holdout, or "
            "name another baseline"
        )
    one_with_many = min(len(e.seeds), len(other.seeds)) == 1 < max(len(e.seeds), len(other.seeds))
    if e.names_seeds and other.names_seeds and not set(e.seeds) & set(other.seeds) and not one_with_many:
        ours, theirs = (", ".join(map(str, seeds)) for seeds in (e.seeds, other.seeds))
        raise UserError(f"{place}, and they have no seed in common ({ours}; {theirs}); give both the same seeds")


def _tested_on(e: Experiment) -> tuple[object, ...]:
    return e.task, e.data.dataset, tuple(e.data.test), getattr(e.data, "holdout", None)
