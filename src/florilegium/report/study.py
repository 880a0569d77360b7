"""The description of a study for its report: its arms, their parts in the argument, and the published values.

It is plain JSON made from the plan (`plan.plan.Plan.description`); measurements are read from run folders instead.
"""

import math
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator

from florilegium.config.base import Name, Strict
from florilegium.config.claims import Claim
from florilegium.config.data import Samples
from florilegium.config.datasets import split_name, split_of
from florilegium.config.figures import PlotChoice
from florilegium.config.metrics import DIVERGENCE, FIRST_AT_99, GAP, SCORING, Baseline, Published, Scoring, TaskName
from florilegium.config.products import Attention, Attribution
from florilegium.core.errors import UserError
from florilegium.plan.departures import Departure

LEAKY = "leaky"  # the arm whose weights saw pictures of the test set
HASH_CLEAN = "hash_clean"  # and the one whose weights saw those that a hash cannot find
SEEING = (HASH_CLEAN, LEAKY)
CORRECTED = "corrected"
IN_WORDS = ("gain", "memory_factor", "speed_factor", GAP, DIVERGENCE, FIRST_AT_99)
Key = tuple[str, str]  # (experiment, arm)
S = TypeVar("S", bound=Strict)


class Learned(Strict):
    """A data set that an arm learns from, with the numbers of classes and images of the study's own, if known."""

    dataset: Name
    stands_in: bool = Field(description="for the study's own")
    classes: int | None
    images: int | None


class Entry(Strict):
    """One arm of one experiment."""

    experiment: Name
    arm: Name
    task: TaskName = "classification"
    title: str
    note: str
    seeds: tuple[int, ...]
    dataset: Name
    source: Name = Field(description="where the data set's pixels are packed")
    split: int | None = Field(
        default_factory=lambda known: split_of(known.get("experiment", ""))[1],
        description="the official split of an experiment that is run on each; older descriptions have it in its name",
    )
    storage_size: int | None
    packing: str | None = Field(None, description="how a detector's pictures are packed: scenes<packing>.npy")
    test: tuple[Name, ...] = Field((), description="the splits that it is tested on")
    learns_from: tuple[Learned, ...] = Field((), description="its own data set, then those of what it starts from")
    cleaned: dict[Name, Literal["nothing", "hash", "all"]] = Field(
        default_factory=dict, description="by other data set that it learns from: which copies were removed there"
    )
    departures: tuple[Departure, ...] = Field((), description="what is not as in preset `paper`, known before the run")
    published: tuple[Published, ...]
    baseline: Baseline | None
    role: Literal["scratch", "pretrain", "transfer", "rate"]
    lr: float | None = Field(description="null where a finder gives it, run by run")
    lr_factor: float
    attention: Attention | None = None
    attribution: Attribution | None = None
    samples: Samples | None = None
    sets: tuple[Name, ...] = Field(
        (), description="of `samples`, in the order of the study, which no JSON object keeps"
    )
    values: dict[str, Any] = Field(default_factory=dict, description="what plots place it by: `recipe.batch_size`: 32")

    @field_validator("lr")
    @classmethod
    def _known(cls, rate: float | None) -> float | None:
        """Older descriptions have 0 in place of null."""
        return rate or None

    @property
    def unsplit_name(self) -> str:
        """The experiment's name without the official split."""
        return self.experiment.removesuffix(split_name("", self.split))

    @property
    def rate(self) -> float:
        """The learning rate; NaN where a finder gives it."""
        return math.nan if self.lr is None else self.lr

    @property
    def scoring(self) -> Scoring:
        """The metrics of its task."""
        return SCORING[self.task]

    @field_validator("published", mode="before")
    @classmethod
    def _numbers(cls, published: Any) -> Any:
        """Older descriptions have claims in words among the numbers, and with each the key `against`."""
        values = [dict(value) for value in published]
        kept = [value for value in values if "against" not in value or value["metric"] not in IN_WORDS]
        return tuple({key: value for key, value in of.items() if key != "against"} for of in kept)

    @property
    def key(self) -> Key:
        return self.experiment, self.arm

    @property
    def key_in_study(self) -> Key:
        """The same, as experiments of a plan call it."""
        return self.key

    @property
    def baseline_key(self) -> Key | None:
        return (self.baseline.experiment, self.baseline.arm) if self.baseline else None


class Study(Strict):
    """A study in one preset."""

    study: Name
    title: str
    preset: Name
    rendered: bool = Field(description="a demo: all its images are drawn by the project")
    preset_note: str
    entries: tuple[Entry, ...]
    figures: tuple[PlotChoice, ...] = ()
    claims: tuple[Claim, ...] = ()

    def find(self, key: Key | None) -> Entry | None:
        return self._by_key.get(key) if key else None

    @cached_property
    def _by_key(self) -> dict[Key, Entry]:
        return {entry.key: entry for entry in self.entries}

    def main(self) -> Entry:
        """The arm that the study argues for: the first corrected transfer, else the first arm."""
        transfers = [e for e in self.entries if e.role == "transfer" and e.arm == CORRECTED]
        return (transfers or self.entries)[0]

    def classifier(self) -> Entry | None:
        """The arm whose predictions are plotted, the main one if it classifies; else the first, or None."""
        return next((e for e in (self.main(), *self.entries) if e.task == "classification"), None)

    def detector(self) -> Entry | None:
        """The arm whose detections are plotted: a corrected one if there is one, best a transferred one; or None."""
        arms = [e for e in self.entries if e.task == "detection"]
        return min(arms, key=lambda e: (e.arm != CORRECTED, e.role != "transfer"), default=None)

    def makes_images(self) -> bool:
        """True if it has sets of generated images."""
        return any(entry.samples for entry in self.entries)

    def leaks(self) -> list[tuple[Entry, Entry]]:
        """Pairs (leaky or cleaned by hash, clean) of arms that differ in what their weights were allowed to see."""
        return self._with_baselines(e for e in self.entries if e.arm in SEEING and e.role == "transfer")

    def gains(self) -> list[tuple[Entry, Entry]]:
        """Pairs (transferred, from scratch) of arms without a leak."""
        pairs = self._with_baselines(e for e in self.entries if e.arm not in SEEING and e.role == "transfer")
        return [(transfer, baseline) for transfer, baseline in pairs if baseline.role == "scratch"]

    def rates(self) -> list[list[Entry]]:
        """Arms that differ in the learning rate alone, the baseline among them, in rising order; none of a baseline
        whose rate a finder gives."""
        families: dict[Key, list[Entry]] = {}
        for entry, start in self._with_baselines(e for e in self.entries if e.role == "rate"):
            if start.lr is not None:
                families.setdefault(start.key, [start]).append(entry)
        return [sorted(family, key=lambda entry: entry.rate) for family in families.values()]

    def _with_baselines(self, entries: Iterable[Entry]) -> list[tuple[Entry, Entry]]:
        """Pairs (arm, baseline), of those arms whose baseline is in the study."""
        return [(e, baseline) for e in entries if (baseline := self.find(e.baseline_key)) is not None]


class Source(Strict):
    """A data set, or pretrained weights, with credits."""

    title: str
    citation: str
    terms: str
    homepage: str


class Page(Strict):
    """The description of the page of one preset."""

    preset: Name
    title: str
    note: str
    studies: dict[Name, Study]
    datasets: dict[Name, Source] = Field(description="by the name that the studies' entries use")
    weights: dict[Name, Source] = Field(default_factory=dict, description="pretrained ones, by name")
    audits: tuple[tuple[str, str], ...]

    @property
    def rendered(self) -> bool:
        """A demo: all images of all its studies are drawn by the project."""
        return bool(self.studies) and all(study.rendered for study in self.studies.values())

    def in_order(self) -> list[tuple[str, Study]]:
        """The studies by name, in the order that their titles number them."""
        return sorted(self.studies.items(), key=lambda named: named[1].title)


def read(model: type[S], text: str, where: str = "--spec") -> S:
    """The `--spec` of a stage as its model; raises `UserError` when a field is missing or wrong."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole text"
        raise UserError(f"{where}: {key}: {first['msg']}; it is made by the workflow") from None


def labels(study: Study) -> dict[Key, str]:
    """A short name for people, unique inside the study, for each arm."""
    n_arms = Counter(entry.experiment for entry in study.entries)
    names = {}
    for entry in study.entries:
        is_plain = n_arms[entry.experiment] == 1 or entry.arm == CORRECTED
        title = entry.title or entry.experiment
        names[entry.key] = title if is_plain else f"{title} ({entry.arm.replace('_', ' ')})"
    counts = Counter(names.values())
    for entry in study.entries:
        if counts[names[entry.key]] > 1 and entry.split is not None:
            names[entry.key] += f", split\u00a0{entry.split}"
    counts = Counter(names.values())
    return {key: name if counts[name] == 1 else "/".join(key) for key, name in names.items()}
