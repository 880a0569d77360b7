"""Experiments of a study file, resolved: defaults, changes of preset and configuration, arms, grids, splits."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from florilegium.config.base import Strict, parse
from florilegium.config.data import Init, Model, Samples
from florilegium.config.datasets import split_name
from florilegium.config.experiment import TASKS, Experiment, check_selection
from florilegium.config.metrics import TaskName
from florilegium.config.products import Attention, Attribution
from florilegium.config.recipes import FROM_FINDER, TrainingRecipe
from florilegium.core.errors import Mistakes, UserError, UserErrors, unknown
from florilegium.core.system import twelve_digits
from florilegium.plan.data_sets import DataSets
from florilegium.plan.entries import PRODUCTS, SECTIONS, Arm, Layer, LoadedStudy, PlacedArm, Point, check_entries
from florilegium.plan.overlays import Change, check_changes, is_kept, layers_above, merged_arms
from florilegium.plan.references import Names, connect

PRODUCT_TYPES: dict[str, type[Strict]] = {"attention": Attention, "attribution": Attribution, "samples": Samples}
# A mistake in a section, in words: the keys that it is about, and what follows them.
MISTAKE = re.compile(r"(?P<keys>[a-z]\w*(?:, [a-z]\w*)*)(?P<rest>(?:\.[\w.-]+)?(?: = |: ).*)", re.DOTALL)
CHOOSING = ("data.val", "data.holdout", "data.choose_on_test", "recipe.select", "recipe.schedule", "recipe.early_stop")
S = TypeVar("S", bound=Strict)


def resolve(
    study: LoadedStudy, changes: Sequence[Change], seeds: tuple[int, ...], data: DataSets, splits: Mapping[str, int]
) -> list[Experiment]:
    """All arms of all experiments of one study.

    Args:
        changes: in rising order of precedence.
        seeds: the seeds of every arm that names none.
        data: all data sets, and what stands in for them.
        splits: number of official splits in use by data set; each gives experiments of its own.

    Raises:
        UserError, UserErrors: everything that is unknown, misspelt, of a wrong type, or impossible.
    """
    check_entries(study)
    check_changes(study, changes)
    resolving = Resolving(study, seeds, data, splits)
    for name, entry in study.file.experiments.items():
        own = [change for change in changes if change.concerns(name)]
        if not entry.abstract:
            resolving.add(name, own, is_left_out=any(change.overlay.skip for change in own))
    return resolving.connected()


@dataclass
class Resolving:
    """The experiments of a study so far, and the mistakes so far, each said once however many arms share it."""

    study: LoadedStudy
    seeds: tuple[int, ...]
    data: DataSets
    splits: Mapping[str, int]
    built: list[Experiment] = field(default_factory=list)
    broken: set[Arm] = field(default_factory=set)
    known: set[Arm] = field(default_factory=set)
    mistakes: Mistakes = field(default_factory=Mistakes)
    said: set[str] = field(default_factory=set)

    def add(self, name: str, changes: Sequence[Change], *, is_left_out: bool) -> None:
        """Build the arms of an entry at every point of its grid; of those that are left out, note the names."""
        for point in self.study.points(name):
            arms = merged_arms(point.arms, changes)
            self.known |= {(name + point.suffix, arm) for arm in (*point.arms, *arms)}
            for arm_name, arm in arms.items() if is_kept(point, changes) and not is_left_out else ():
                try:
                    self.built += self._on_splits(self._build(name, point, arm_name, arm, changes))
                except UserError as error:
                    self._note(error, name, (name + point.suffix, arm_name))

    def connected(self) -> list[Experiment]:
        """The experiments, pointed to each other; raises `UserError` or `UserErrors` with all mistakes."""
        experiments: list[Experiment] = []
        here = {(e.name, e.arm) for e in self.built}
        with self.mistakes.caught():
            _check_unique(self.built, self.study.where)
        with self.mistakes.caught():
            experiments = connect(self.built, Names(here, self.broken, self.known | here, self.study))
        self.mistakes.refuse()
        return experiments

    def _note(self, error: UserError, entry: str, arm: Arm) -> None:
        """Keep the sentences of an error; one that stands in a base, or is for many, gets the first arm's name."""
        self.broken.add(arm)
        own = re.compile(rf"[^ ]+: experiments\.({re.escape(self.study.name)}/)?{re.escape(entry)}[.: ]")
        for sentence in error.mistakes if isinstance(error, UserErrors) else (str(error),):
            if sentence not in self.said:
                self.said.add(sentence)
                suffix = "" if own.match(sentence) else f" (in {self.study.name}/{'/'.join(arm)})"
                self.mistakes.found.append(sentence + suffix)

    def _build(self, name: str, point: Point, arm_name: str, arm: PlacedArm, changes: Sequence[Change]) -> Experiment:
        """One arm, typed."""
        chain = self.study.ancestors(name)
        task: TaskName = next((e.task for e in reversed(chain) if e.task), "classification")
        layers = [*point.layers, *layers_above(name, arm_name, arm, changes)]
        home = self.study.place(name)
        typed = _typed(task, layers, home, arm)
        experiment = Experiment(
            study=self.study.name,
            name=name + point.suffix,
            arm=arm_name,
            task=task,
            seeds=arm.fields["seeds"] or self.seeds,
            names_seeds=bool(arm.fields["seeds"]),
            title=self.study.file.experiments[name].title,
            note=arm.fields["note"],
            lr_factor=arm.fields["lr_factor"],
            published=tuple(arm.fields["published"]),
            baseline=arm.fields["baseline"],
            entry=name,
            network=next((e.network for e in reversed(chain) if e.network), ""),
            first_weights=next((e.first_weights for e in reversed(chain) if e.first_weights), ""),
            places={**_places(layers, home), "title": home, **{key: arm.place_of(key) for key in arm.fields}},
            **typed,
        )
        self.data.check(experiment)
        return experiment

    def _on_splits(self, e: Experiment) -> Iterator[Experiment]:
        """The experiment once for each official split of the data sets that it uses or is kept clean of."""
        e = _on_data(e, lambda name: self.data.stand_ins.get(name, name))
        count = max(self.splits.get(name, 0) for name in (e.data.dataset, *e.data.clean))
        yield from [_on_split(e, k, self.splits) for k in range(1, count + 1)] or [e]


def _check_unique(built: Sequence[Experiment], where: str) -> None:
    """Raise `UserError` for an experiment that is called as another one on one of its official splits."""
    keys: set[str] = set()
    for e in built:
        if e.key in keys:
            raise UserError(
                f"{where}: experiments: two experiments are called {e.name} (a data set with several official splits "
                "adds their numbers to the names); rename one"
            )
        keys.add(e.key)


# Typed sections


def _typed(task: TaskName, layers: list[Layer], home: str, arm: PlacedArm) -> dict[str, Any]:
    """The sections of an experiment; raises `UserError` or `UserErrors` with all that is wrong in them."""
    types = TASKS[task]
    mistakes = Mistakes()
    found: dict[str, Any] = {}
    for name, kind in (("data", types.data), ("model", Model), ("recipe", types.recipe)):
        with mistakes.caught():
            found[name] = _section(kind, name, layers, task, home)
    for name in PRODUCTS:
        with mistakes.caught():
            found[name] = _product(name, layers, task, home)
    with mistakes.caught():
        found["init"] = _init(layers)
    if {"data", "recipe"} <= found.keys():
        with mistakes.caught():
            try:
                check_selection(found["data"], found["recipe"])
            except ValueError as error:
                raise UserError(f"{_topmost(CHOOSING, layers, home)}: {error}") from None
    if found.get("attention") and "model" in found:
        with mistakes.caught():
            place = _topmost(("attention.blocks", "attention.head", "model.name", "model.arguments"), layers, home)
            try:
                found["attention"].check_model(found["model"])
            except UserError as error:
                raise UserError(f"{place}: {error}") from None
    if "recipe" in found:
        with mistakes.caught():
            found["recipe"] = _scaled(found["recipe"], arm)
    mistakes.refuse()
    return found


def _section(model: type[S], section: str, layers: list[Layer], task: TaskName, home: str) -> S:
    """One section, merged over all layers; an error names the layer that set the key last."""
    merged: dict[str, Any] = {}
    mistakes = Mistakes()
    for layer in layers:
        for key, value in (layer.sections.get(section) or {}).items():
            if key in model.model_fields:
                merged[key] = value
            else:
                with mistakes.caught():
                    raise _unknown_key(key, model, section, task, layer.place)
    try:
        parsed = parse(model, merged, section)
    except UserError as error:
        for sentence in error.mistakes if isinstance(error, UserErrors) else (str(error),):
            words = sentence.removeprefix(f"{section}: ")
            if mistakes.found and words.startswith("the key"):
                continue  # that is missing since it is misspelt
            about = MISTAKE.match(words)
            keys = about["keys"].split(", ") if about else []
            mark = "." if len(keys) == 1 else ": "
            if not merged.keys() & set(keys):  # what is missing is asked for by another key
                keys = [word for word in re.findall(r"\w+", words) if word in merged]
            mistakes.found.append(f"{_setter(section, layers, home, keys)}.{section}{mark}{words}")
    mistakes.refuse()
    return parsed


def _unknown_key(key: str, model: type[Strict], section: str, task: TaskName, place: str) -> UserError:
    """The error for a key that a section of this task does not have."""
    types = {other: {"data": of.data, "recipe": of.recipe}.get(section) for other, of in TASKS.items()}
    owners = [other for other, kind in types.items() if kind and key in kind.model_fields]
    if owners:
        return UserError(
            f"{place}.{section}.{key}: is a key of {' and '.join(owners)}, and the experiment's task is {task}; take "
            "it out"
        )
    return unknown("key", key, model.model_fields, f"{place}.{section}")


def _setter(section: str, layers: Sequence[Layer], home: str, keys: Sequence[str] = ()) -> str:
    """The place of the topmost layer that sets a section, or one of these keys of it; `home` if none does."""
    for layer in reversed(layers):
        content = layer.sections.get(section)
        if _says(section, content) and (not keys or any(key in (content or ()) for key in keys)):
            return layer.place
    return home


def _says(section: str, content: Mapping[str, Any] | None) -> bool:
    """True for a section that a file writes; an empty one says something of `init` and of products alone."""
    return bool(content) or (content is not None and section not in SECTIONS)


def _topmost(keys: Collection[str], layers: Sequence[Layer], home: str) -> str:
    """The place of the topmost layer that sets one of the keys of several sections; `home` if none does."""
    for layer in reversed(layers):
        if any(f"{section}.{key}" in keys for section, content in layer.sections.items() for key in content or ()):
            return layer.place
    return home


def _places(layers: Sequence[Layer], home: str) -> dict[str, str]:
    """For every section, and every key of one, the place of the topmost layer that sets it."""
    places = dict.fromkeys((*SECTIONS, "init", *PRODUCTS), home)
    for layer in layers:
        for section, content in layer.sections.items():
            if _says(section, content):
                places |= dict.fromkeys([section, *(f"{section}.{key}" for key in content)], layer.place)
    return places


def _product(name: str, layers: list[Layer], task: TaskName, home: str) -> Any:
    """The settings of a further product of the trained network, if a layer that is not general adds it."""
    if all(layer.sections.get(name) is None for layer in layers if not layer.is_general):
        return None
    product = _section(PRODUCT_TYPES[name], name, layers, task, home)
    if isinstance(product, Attribution) and task != "classification":
        place = _setter(name, layers, home)
        raise UserError(f"{place}.attribution: explains classifiers alone, and this is {task}; take it out")
    return product


def _init(layers: list[Layer]) -> Init | None:
    """The initial weights of the topmost layer that says something of them; {} means random ones."""
    layer = next((layer for layer in reversed(layers) if layer.sections.get("init") is not None), None)
    if layer is None or not layer.sections["init"]:
        return None
    return parse(Init, layer.sections["init"], f"{layer.place}.init")


def _scaled(recipe: TrainingRecipe, arm: PlacedArm) -> TrainingRecipe:
    """The recipe with its learning rate multiplied."""
    factor = arm.fields["lr_factor"]
    if factor == 1:
        return recipe
    if recipe.lr == FROM_FINDER:
        raise UserError(
            f"{arm.place_of('lr_factor')}.lr_factor: multiplies a number, and recipe.lr is {FROM_FINDER}; take one of "
            "them out"
        )
    return recipe.model_copy(update={"lr": twelve_digits(recipe.base_lr * factor)})


# Stand-ins and official splits


def _on_split(e: Experiment, k: int, splits: Mapping[str, int]) -> Experiment:
    e = _on_data(e, lambda name: split_name(name, k) if splits.get(name) else name)
    return replace(e, name=split_name(e.name, k), split=k)


def _on_data(e: Experiment, renamed: Callable[[str], str]) -> Experiment:
    """The experiment with `renamed` data sets, and data sets to be kept clean of."""
    names = {"dataset": renamed(e.data.dataset), "clean": tuple(map(renamed, e.data.clean))}
    return replace(e, data=e.data.model_copy(update=names))
