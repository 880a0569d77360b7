"""How an experiment departs from the same one in preset `paper`: each departure in words and by kind, and in titles.

A published figure is held against ours only where no departure can matter to it. What a run cannot matter by (its
seed, its name, how closely it is looked at) is no departure. What is known once the data are there, such as absent
classes, is added in the report (`report.verdicts`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from florilegium.config.base import Strict
from florilegium.config.data import Dataset, Init, split_names
from florilegium.config.experiment import Experiment
from florilegium.config.figures import PlotChoice
from florilegium.config.networks import described, is_same, own_size, title_of
from florilegium.core.errors import UserError

Kind = Literal["experiment", "data", "classes", "network", "weights", "image_size", "freezing", "recipe"]
# How weights are read into another head, and how many threads add up: no part of an experiment's idea.
PLUMBING = frozenset({"threads", "allow_missing", "allow_unexpected"})
SIDES = frozenset({"image_size", "short_side", "long_side", "storage_size"})
FREEZING = frozenset({"freeze", "freeze_blocks"})
NETWORK, WEIGHTS = "{network}", "{first_weights}"  # placeholders of titles
FIRST = ("epochs", "epoch_steps", "batch_size", "optimizer", "lr", "schedule")  # what a reader looks for


class Departure(Strict):
    """One thing that is not as published."""

    kind: Kind
    words: str


ABSENT = Departure(kind="experiment", words="no such experiment in preset paper")


@dataclass(frozen=True)
class Paper:
    """What experiments are laid beside.

    Attributes:
        experiments: those of preset `paper` without a change of the person's, by `Experiment.key`; of official
            splits once, without the split's number.
        left_out: the keys of those that `paper` itself does not run; they say what a network is called, no more.
        datasets: every data set.
        stand_ins: data sets that are replaced by others here.
        originals: what a data set stands in for in `paper` already, by study and data set.
    """

    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    originals: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def model_of(self, e: Experiment) -> Experiment | None:
        """The experiment that `e` is a version of, whether or not `paper` runs it; for a name that a preset has
        added, another arm of the same experiment."""
        exact = self._find(e)
        if exact is not None:
            return exact
        names = (f"{e.study}/{name}/" for name in (e.name, e.unsplit_name))
        return next((self.experiments[k] for n in names for k in self.experiments if k.startswith(n)), None)

    def of(self, e: Experiment) -> Experiment | None:
        """The same experiment and arm in `paper`; None where `paper` has none."""
        same = self._find(e)
        return None if same is None or same.key in self.left_out else same

    def source(self, dataset: str) -> str:
        """The data set of which `dataset` is an official split, or itself."""
        return self._sources[dataset][0]

    @cached_property
    def _sources(self) -> dict[str, tuple[str, int | None]]:
        return split_names(self.datasets)

    def _find(self, e: Experiment) -> Experiment | None:
        names = (e.name, e.unsplit_name)
        keys = (f"{e.study}/{name}/{e.arm}" for name in names)
        return next((self.experiments[key] for key in keys if key in self.experiments), None)


def departures(e: Experiment, paper: Paper, others: Mapping[str, Experiment]) -> tuple[Departure, ...]:
    """All that is known before a run, what it starts from included; `others` are those of this plan, by key."""
    theirs = paper.of(e)
    if theirs is None:
        return (ABSENT,)
    own = [*_own(e, theirs, paper)]
    for before in origins(e, others):
        if _same_origin(theirs, before):
            theirs_too = [*departures(before, paper, others), *_samples(e, before, paper)]
            own += elsewhere("weights", before.unsplit_name, theirs_too, own)
    return tuple(own)


def elsewhere(kind: Kind, name: str, there: Iterable[Departure], here: Iterable[Departure]) -> list[Departure]:
    """The departures of another experiment (its name without an official split) as a single one, without those that
    are the same here."""
    same = {d.words for d in here}
    words = list(dict.fromkeys(d.words for d in there if d.words not in same))
    return [Departure(kind=kind, words=f"in {name}: {', '.join(words)}")] if words else []


def origins(e: Experiment, others: Mapping[str, Experiment]) -> list[Experiment]:
    """The experiments whose weights or generated images `e` learns from, directly."""
    starts = (e.init, getattr(e.data, "generated", None))
    keys = [f"{e.study}/{s.experiment}/{s.arm}" for s in starts if s is not None and s.experiment]
    return [others[key] for key in keys if key in others]


def _same_origin(theirs: Experiment, before: Experiment) -> bool:
    """Whether the study starts from the same experiment; where it does not, that is the departure."""
    starts = (theirs.init, getattr(theirs.data, "generated", None))
    return any(s is not None and s.experiment == before.unsplit_name for s in starts)


def _own(e: Experiment, theirs: Experiment, paper: Paper) -> Iterator[Departure]:
    yield from _data(e, theirs, paper)
    if not is_same(e.model, theirs.model):
        name = theirs.network or theirs.model.name
        words = f"network: {described(e.model, theirs.model, name)} for {name}"
        yield Departure(kind="network", words=words)
    yield from _weights(e, theirs)
    yield from _sides(e, theirs)
    ours, published = e.recipe.used(), theirs.recipe.used()
    for key in sorted(ours.keys() & published.keys(), key=_rank):
        if ours[key] != published[key] and key not in PLUMBING | SIDES:
            kind: Kind = "freezing" if key in FREEZING else "recipe"
            yield Departure(kind=kind, words=f"{key}: {text(ours[key])} for {text(published[key])}")


def _rank(key: str) -> tuple[int, str]:
    return (FIRST.index(key) if key in FIRST else len(FIRST)), key


def _data(e: Experiment, theirs: Experiment, paper: Paper) -> Iterator[Departure]:
    """Another data set, one that stands in for the study's in `paper` already, and other use of it."""
    ours, published = paper.source(e.data.dataset), theirs.data.dataset
    original = paper.originals.get((e.study, published))
    if ours != published or original:
        wanted = original or paper.datasets[published].title or published
        yield Departure(kind="data", words=f"stand-in: {ours} for {wanted}")
    elif paper.datasets[published].official_splits > 1 and ours == e.data.dataset:
        yield Departure(kind="data", words="data: a split of our own for the makers'")
    replaced = flat(theirs.data.model_dump(mode="json"))
    replaced["clean"] = [paper.stand_ins.get(name, name) for name in theirs.data.clean]
    used = flat(e.data.model_dump(mode="json"))
    used["clean"] = [paper.source(name) for name in e.data.clean]
    for key, value in used.items():
        if key == "dataset" or key in SIDES:
            continue
        if value != replaced.get(key, value):
            yield Departure(kind="data", words=f"{key}: {text(value)} for {text(replaced[key])}")


def _weights(e: Experiment, theirs: Experiment) -> Iterator[Departure]:
    if _start(e) != _start(theirs):
        yield Departure(kind="weights", words=f"weights: {_start(e)} for {_start(theirs)}")


def _start(e: Experiment) -> str:
    """The first weights of an experiment in words."""
    if e.init is None:
        return "random"
    if e.init.experiment:
        arm = "" if e.init.arm == "corrected" else f"/{e.init.arm}"
        return f"{e.without_split(e.init.experiment)}{arm} of ours"
    return str(e.init.weights or e.init.file)


def _sides(e: Experiment, theirs: Experiment) -> Iterator[Departure]:
    """Sides of images in pixels: as packed, and as the network takes them."""
    ours, published = _sizes_of(e), _sizes_of(theirs)
    for key in ours:
        if key in published and ours[key] != published[key]:
            kind: Kind = "data" if key == "storage_size" else "image_size"
            said = [text(side) if side else "the network's own" for side in (ours[key], published[key])]
            yield Departure(kind=kind, words=f"{key}: {said[0]} for {said[1]}")


def _sizes_of(e: Experiment) -> dict[str, int | None]:
    sides = {key: value for key, value in e.data.model_dump(mode="json").items() if key in SIDES}
    own = own_size(e.model)
    if hasattr(e.recipe, "image_size"):
        return {"image_size": e.recipe.image_size or own, **sides}
    return {"image_size": own, **sides} if own else sides


def _samples(e: Experiment, generator: Experiment, paper: Paper) -> Iterator[Departure]:
    """How the images were drawn that `e` learns from."""
    made, theirs = getattr(e.data, "generated", None), paper.of(generator)
    if made is None or generator.samples is None or theirs is None or theirs.samples is None:
        return
    if made.samples in theirs.samples.sets:
        ours, published = (s.sets[made.samples].model_dump() for s in (generator.samples, theirs.samples))
        for key, value in ours.items():
            if value != published[key]:
                yield Departure(kind="data", words=f"{key}: {text(value)} for {text(published[key])}")


def flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by their dotted path."""
    values: dict[str, Any] = {}
    for key, value in section.items():
        path = f"{prefix}{key}"
        values |= flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return values


def text(value: Any) -> str:
    """A value for people."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        parts = [text(v) if isinstance(v, str | int | float) else f"[{text(v)}]" for v in value]
        return ", ".join(parts) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def titled(e: Experiment, paper: Paper) -> Experiment:
    """The experiment with a title that names what it is; raises `UserError` where there is nothing to name."""
    for placeholder in (NETWORK, WEIGHTS):
        key = placeholder.strip("{}")
        if placeholder in e.title and not getattr(e, key):
            raise UserError(f"{e.key}: title has {placeholder}, and the experiment has no `{key}`; give it one")
    title = e.title.replace(NETWORK, network_of(e, paper)).replace(WEIGHTS, _weights_of(e, paper))
    return replace(e, title=title)


def figure_titled(figure: PlotChoice, experiments: Sequence[Experiment], paper: Paper) -> PlotChoice:
    """The figure with a title that names the network of its first arm, and of all others that stand for the same one.

    Raises:
        UserError: the title asks for a network, and the first arm has none.
    """
    if NETWORK not in figure.title:
        return figure
    if not figure.arms:
        return figure.model_copy(update={"title": figure.title.replace(NETWORK, "a network")})
    of_key = {(e.name, e.arm): e for e in experiments}
    arms = [of_key[key] for key in figure.arms]
    published = arms[0].network
    if not published:
        raise UserError(f"figures.{figure.name}: title has {NETWORK}, and {arms[0].key} has no `network`; give it one")
    names = {network_of(e, paper) for e in arms if e.network == published}
    name = names.pop() if len(names) == 1 else f"networks in place of {published}"
    return figure.model_copy(update={"title": figure.title.replace(NETWORK, name)})


def network_of(e: Experiment, paper: Paper) -> str:
    """What the network of an experiment is called."""
    reference = paper.model_of(e)
    return title_of(e.model, reference.model if reference else None, e.network)


def _weights_of(e: Experiment, paper: Paper) -> str:
    reference = paper.model_of(e)
    if reference is None or e.init == reference.init:
        return e.first_weights
    return _said(e.init)


def _said(init: Init | None) -> str:
    if init is None:
        return "random weights"
    return "weights of our own" if init.experiment else str(init.weights or init.file)
