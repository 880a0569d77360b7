"""Departures of an experiment from the same one in preset `paper`, in words and by kind; and titles that name them.

A published number is compared with ours only where no departure can matter to it. Seeds and names are no departures.
Departures that only the data show, such as absent classes, are added in the report (`report.verdicts`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from florilegium.config.base import Strict
from florilegium.config.data import Init
from florilegium.config.datasets import Dataset, split_names
from florilegium.config.experiment import Experiment
from florilegium.config.figures import PlotChoice
from florilegium.config.networks import described, is_same, own_size, title_of
from florilegium.core.errors import UserError, nearest

Kind = Literal["experiment", "data", "classes", "network", "weights", "image_size", "freezing", "recipe"]
TECHNICAL = frozenset({"threads", "allow_missing", "allow_unexpected"})  # keys of a recipe that are no departures
SIDES = frozenset({"image_size", "short_side", "long_side", "storage_size"})
FREEZING = frozenset({"freeze", "freeze_blocks"})
FIRST = ("epochs", "epoch_steps", "batch_size", "optimizer", "lr", "schedule")  # keys that are listed before others


class Departure(Strict):
    """One difference from the published experiment."""

    kind: Kind
    words: str


ABSENT = Departure(kind="experiment", words="no such experiment in preset paper")


@dataclass(frozen=True)
class Paper:
    """The published experiments.

    Attributes:
        experiments: those of preset `paper`, without changes of `config.yaml`, by `Experiment.key`; an experiment on
            several official splits is listed once, without the split's number.
        left_out: keys of those that `paper` itself does not run, which only give networks their names.
        datasets: all data sets.
        stand_ins: data sets that are replaced by others here.
        originals: by study and data set, the data set that it replaces in `paper` already.
        weights: titles of pretrained weights that have one, by name.
    """

    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    originals: Mapping[tuple[str, str], str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)

    def of(self, e: Experiment) -> Experiment | None:
        """The same experiment and arm in `paper`; None if `paper` does not run it."""
        same = self._find(e)
        return None if same is None or same.key in self.left_out else same

    def reference(self, e: Experiment) -> Experiment | None:
        """The experiment that `e` is a version of, even if `paper` does not run it; for an arm that a preset has added,
        another arm of the same experiment."""
        same = self._find(e)
        if same is not None:
            return same
        starts = (f"{e.study}/{name}/" for name in (e.name, e.unsplit_name))
        return next((self.experiments[k] for start in starts for k in self.experiments if k.startswith(start)), None)

    def source(self, dataset: str) -> str:
        """The data set that `dataset` is an official split of, or itself."""
        return self._sources[dataset][0]

    @cached_property
    def _sources(self) -> dict[str, tuple[str, int | None]]:
        return split_names(self.datasets)

    def _find(self, e: Experiment) -> Experiment | None:
        keys = (f"{e.study}/{name}/{e.arm}" for name in (e.name, e.unsplit_name))
        return next((self.experiments[key] for key in keys if key in self.experiments), None)


# Departures


def departures(e: Experiment, paper: Paper, others: Mapping[str, Experiment]) -> tuple[Departure, ...]:
    """All departures that are known before a run, including those of the experiments that it learns from; `others` are
    the experiments of this plan, by key."""
    published = paper.of(e)
    if published is None:
        return (ABSENT,)
    own = [*_own(e, published, paper)]
    for origin in origins(e, others):
        # Where the study starts from another experiment, that alone is the departure.
        if any(start.experiment == origin.unsplit_name for start in _starts(published)):
            there = [*departures(origin, paper, others), *_samples(e, origin, paper)]
            own += elsewhere("weights", origin.unsplit_name, there, own)
    return tuple(own)


def elsewhere(kind: Kind, name: str, there: Iterable[Departure], here: Iterable[Departure]) -> list[Departure]:
    """The departures of another experiment as a single one, without those that are the same here.

    Args:
        name: the other experiment's name, without its official split.
    """
    same = {d.words for d in here}
    words = list(dict.fromkeys(d.words for d in there if d.words not in same))
    return [Departure(kind=kind, words=f"in {name}: {', '.join(words)}")] if words else []


def origins(e: Experiment, others: Mapping[str, Experiment]) -> list[Experiment]:
    """The experiments whose weights or generated images `e` learns from directly."""
    keys = [f"{e.study}/{start.experiment}/{start.arm}" for start in _starts(e)]
    return [others[key] for key in keys if key in others]


def _starts(e: Experiment) -> list[Any]:
    """Initial weights and generated images that come from another experiment."""
    return [start for start in (e.init, getattr(e.data, "generated", None)) if start and start.experiment]


def _own(e: Experiment, published: Experiment, paper: Paper) -> Iterator[Departure]:
    yield from _data(e, published, paper)
    if not is_same(e.model, published.model):
        name = published.network or published.model.name
        yield Departure(kind="network", words=f"network: {described(e.model, published.model, name)} for {name}")
    weights = _initial_weights(e, paper), _initial_weights(published, paper)
    if weights[0] != weights[1]:
        yield Departure(kind="weights", words=f"weights: {weights[0]} for {weights[1]}")
    for key, (ours, theirs) in _differing(_sides(e), _sides(published)):
        kind: Kind = "data" if key == "storage_size" else "image_size"
        sides = [_text(side) if side else "the network's own" for side in (ours, theirs)]
        yield Departure(kind=kind, words=f"{key}: {sides[0]} for {sides[1]}")
    recipe = _differing(e.recipe.used(), published.recipe.used())
    for key, values in sorted(recipe, key=lambda item: _rank(item[0])):
        if key not in TECHNICAL | SIDES:
            yield _changed("freezing" if key in FREEZING else "recipe", key, *values)


def _rank(key: str) -> tuple[int, str]:
    return (FIRST.index(key) if key in FIRST else len(FIRST)), key


def _differing(ours: Mapping[str, Any], published: Mapping[str, Any]) -> list[tuple[str, tuple[Any, Any]]]:
    """The keys of both with another value, and the values."""
    return [(k, (v, published[k])) for k, v in ours.items() if k in published and v != published[k]]


def _changed(kind: Kind, key: str, ours: Any, published: Any) -> Departure:
    return Departure(kind=kind, words=f"{key}: {_text(ours)} for {_text(published)}")


def _data(e: Experiment, published: Experiment, paper: Paper) -> Iterator[Departure]:
    """Another data set, one that replaces the study's in `paper` already, and other use of it."""
    ours, theirs = paper.source(e.data.dataset), published.data.dataset
    original = paper.originals.get((e.study, theirs))
    if ours != theirs or original:
        name = original or paper.datasets[theirs].title or theirs
        yield Departure(kind="data", words=f"stand-in: {ours} for {name}")
    elif paper.datasets[theirs].official_splits > 1 and ours == e.data.dataset:
        yield Departure(kind="data", words="data: a split of our own for the makers'")
    used = _flat(e.data.model_dump(mode="json")) | {"clean": [paper.source(name) for name in e.data.clean]}
    clean = [paper.stand_ins.get(name, name) for name in published.data.clean]
    for key, values in _differing(used, _flat(published.data.model_dump(mode="json")) | {"clean": clean}):
        if key != "dataset" and key not in SIDES:
            yield _changed("data", key, *values)


def _initial_weights(e: Experiment, paper: Paper) -> str:
    if e.init is None:
        return "random"
    if e.init.experiment:
        arm = "" if e.init.arm == "corrected" else f"/{e.init.arm}"
        return f"{e.without_split(e.init.experiment)}{arm} of ours"
    return _pretrained(e.init, paper)


def _pretrained(init: Init, paper: Paper) -> str:
    """The title, or else the name, of weights that no experiment made."""
    return paper.weights.get(str(init.weights)) or str(init.weights or init.file)


def _sides(e: Experiment) -> dict[str, int | None]:
    """Sides of images in pixels: as packed, and as the network reads them."""
    sides = {key: value for key, value in e.data.model_dump(mode="json").items() if key in SIDES}
    own = own_size(e.model)
    if hasattr(e.recipe, "image_size"):
        return {"image_size": e.recipe.image_size or own, **sides}
    return {"image_size": own, **sides} if own else sides


def _samples(e: Experiment, generator: Experiment, paper: Paper) -> Iterator[Departure]:
    """Departures in the sampling of the generated images that `e` learns from."""
    generated, published = getattr(e.data, "generated", None), paper.of(generator)
    if generated is None or generator.samples is None or published is None or published.samples is None:
        return
    if generated.samples in published.samples.sets:
        ours, theirs = (s.sets[generated.samples].model_dump() for s in (generator.samples, published.samples))
        for key, values in _differing(ours, theirs):
            yield _changed("data", key, *values)


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by their dotted path."""
    values: dict[str, Any] = {}
    for key, value in section.items():
        path = f"{prefix}{key}"
        values |= _flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return values


def _text(value: Any) -> str:
    """A value for people."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [_text(v) if isinstance(v, str | int | float) else f"[{_text(v)}]" for v in value]
        return ", ".join(parts) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


# Titles

NETWORK, WEIGHTS = "{network}", "{first_weights}"  # placeholders


def titled(e: Experiment, paper: Paper) -> Experiment:
    """The experiment with its placeholders filled in; raises `UserError` if it has no name for one of them."""
    for placeholder in (NETWORK, WEIGHTS):
        key = placeholder.strip("{}")
        if placeholder in e.title and not getattr(e, key):
            raise UserError(f"{e.place('title')} has {placeholder}, and the experiment has no `{key}`; give it one")
    if word := _misspelt(e.title, NETWORK, WEIGHTS):
        raise UserError(f"{e.place('title')} has {word}; write {NETWORK} or {WEIGHTS}, which are replaced")
    reference, weights = paper.reference(e), e.first_weights
    if reference and e.init != reference.init:
        weights = "random weights"
        if e.init:
            weights = "weights of our own" if e.init.experiment else _pretrained(e.init, paper)
    return replace(e, title=e.title.replace(NETWORK, _network(e, paper)).replace(WEIGHTS, weights))


def figure_titled(figure: PlotChoice, experiments: Sequence[Experiment], paper: Paper) -> PlotChoice:
    """The figure with a title that names the network of its first arm, and of all other arms with the same one in the
    study; raises `UserError` if the title needs a network, and the first arm has no name for it."""
    if word := _misspelt(figure.title, NETWORK):
        raise UserError(f"figures.{figure.name}: title has {word}; write {NETWORK}, which is replaced")
    if NETWORK not in figure.title:
        return figure
    name = "a network"
    if figure.arms:
        by_arm = {(e.name, e.arm): e for e in experiments}
        arms = [by_arm[arm] for arm in figure.arms]
        published = arms[0].network
        if not published:
            problem = f"title has {NETWORK}, and {arms[0].key} has no `network`"
            raise UserError(f"figures.{figure.name}: {problem}; give it one")
        names = {_network(e, paper) for e in arms if e.network == published}
        name = names.pop() if len(names) == 1 else f"networks in place of {published}"
    return figure.model_copy(update={"title": figure.title.replace(NETWORK, name)})


def _misspelt(title: str, *known: str) -> str | None:
    """The first word in braces that resembles a placeholder and is none of those `known`; other braces are text."""
    words = re.findall(r"\{\w+\}", title)
    return next((word for word in words if word not in known and nearest(word, (NETWORK, WEIGHTS))), None)


def _network(e: Experiment, paper: Paper) -> str:
    reference = paper.reference(e)
    return title_of(e.model, reference.model if reference else None, e.network)
