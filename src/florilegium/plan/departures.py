"""How an experiment departs from the same one in preset `paper`: each departure in words, and by kind.

A published figure is held against ours only where no departure can matter to it. What a run cannot matter by (its
seed, its name, how closely it is looked at) is no departure. What is known once the data are there, such as absent
classes, is added in the report (`report.verdicts`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from florilegium.core.experiment import Experiment
from florilegium.core.figures import SPLIT
from florilegium.core.networks import described, is_same, own_size
from florilegium.core.sources import Dataset
from florilegium.core.spec import Init
from florilegium.core.strict import Strict

Kind = Literal["experiment", "data", "classes", "network", "weights", "image_size", "freezing", "recipe"]
# How weights are read into another head, and how many threads add up: no part of an experiment's idea.
PLUMBING = frozenset({"threads", "allow_missing", "allow_unexpected"})
SIDES = frozenset({"image_size", "short_side", "long_side", "storage_size"})
FREEZING = frozenset({"freeze", "freeze_blocks"})
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
        names = (f"{e.study}/{name}/" for name in (e.name, SPLIT.sub("", e.name)))
        return next((self.experiments[k] for n in names for k in self.experiments if k.startswith(n)), None)

    def of(self, e: Experiment) -> Experiment | None:
        """The same experiment and arm in `paper`; None where `paper` has none."""
        found = self._find(e)
        return None if found is None or found.key in self.left_out else found

    def _find(self, e: Experiment) -> Experiment | None:
        names = (e.name, SPLIT.sub("", e.name))
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
            found = [*departures(before, paper, others), *_samples(e, before, paper)]
            own += elsewhere("weights", before.name, found, own)
    return tuple(own)


def elsewhere(
    kind: Kind, name: str, found: Iterable[Departure], known: Iterable[Departure]
) -> list[Departure]:
    """What departs in another experiment, as one; without what departs here in the same way."""
    said = {d.words for d in known}
    words = list(dict.fromkeys(d.words for d in found if d.words not in said))
    return [Departure(kind=kind, words=f"in {SPLIT.sub('', name)}: {', '.join(words)}")] if words else []


def origins(e: Experiment, others: Mapping[str, Experiment]) -> list[Experiment]:
    """The experiments whose weights or generated images `e` learns from, directly."""
    starts = (e.init, getattr(e.data, "generated", None))
    keys = [f"{e.study}/{s.experiment}/{s.arm}" for s in starts if s is not None and s.experiment]
    return [others[key] for key in keys if key in others]


def _same_origin(theirs: Experiment, before: Experiment) -> bool:
    """Whether the study starts from the same experiment; where it does not, that is the departure."""
    starts = (theirs.init, getattr(theirs.data, "generated", None))
    return any(s is not None and s.experiment == SPLIT.sub("", before.name) for s in starts)


def _own(e: Experiment, theirs: Experiment, paper: Paper) -> Iterator[Departure]:
    yield from _data(e, theirs, paper)
    if not is_same(e.model, theirs.model):
        name = theirs.network or theirs.model.name
        words = f"network: {described(e.model, theirs.model, name)} for {name}"
        yield Departure(kind="network", words=words)
    yield from _weights(e.init, theirs.init)
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
    ours, published = SPLIT.sub("", e.data.dataset), theirs.data.dataset
    original = paper.originals.get((e.study, published))
    if ours != published or original:
        wanted = original or paper.datasets[published].title or published
        yield Departure(kind="data", words=f"stand-in: {ours} for {wanted}")
    elif paper.datasets[published].official_splits > 1 and ours == e.data.dataset:
        yield Departure(kind="data", words="data: a split of our own for the makers'")
    replaced = {**flat(theirs.data.model_dump(mode="json"))}
    replaced["clean"] = [paper.stand_ins.get(name, name) for name in theirs.data.clean]
    used = flat(e.data.model_dump(mode="json"))
    used["clean"] = [SPLIT.sub("", name) for name in e.data.clean]
    for key, value in used.items():
        if key == "dataset" or key in SIDES:
            continue
        if _unsplit(value) != replaced.get(key, value):
            yield Departure(kind="data", words=f"{key}: {text(value)} for {text(replaced[key])}")


def _weights(ours: Init | None, theirs: Init | None) -> Iterator[Departure]:
    if _start(ours) != _start(theirs):
        yield Departure(kind="weights", words=f"weights: {_start(ours)} for {_start(theirs)}")


def _start(init: Init | None) -> str:
    if init is None:
        return "random"
    if init.experiment:
        arm = "" if init.arm == "corrected" else f"/{init.arm}"
        return f"{SPLIT.sub('', init.experiment)}{arm} of ours"
    return str(init.weights or init.file)


def _sides(e: Experiment, theirs: Experiment) -> Iterator[Departure]:
    """Sides of images in pixels: as packed, and as the network takes them."""
    ours, published = _sizes_of(e), _sizes_of(theirs)
    for key in ours:
        if key in published and ours[key] != published[key]:
            kind: Kind = "data" if key == "storage_size" else "image_size"
            said = [text(side) if side else "the network's own" for side in (ours[key], published[key])]
            yield Departure(kind=kind, words=f"{key}: {said[0]} for {said[1]}")


def _sizes_of(e: Experiment) -> dict[str, int | None]:
    found = {key: value for key, value in e.data.model_dump(mode="json").items() if key in SIDES}
    if hasattr(e.recipe, "image_size"):
        return {"image_size": e.recipe.image_size or own_size(e.model), **found}
    own = own_size(e.model)
    return {"image_size": own, **found} if own else found


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
    found: dict[str, Any] = {}
    for key, value in section.items():
        path = f"{prefix}{key}"
        found |= flat(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found


def _unsplit(value: Any) -> Any:
    return SPLIT.sub("", value) if isinstance(value, str) else value


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
