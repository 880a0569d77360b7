"""What the report is told about a study: its arms, their parts in the argument, what was published.

The description is plain JSON made from the plan (`core.plan.Plan.description`); everything measured
is read from run folders instead.
"""

from collections import Counter
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError

from florilegium.core.attention_settings import Attention
from florilegium.core.attribution_settings import Attribution
from florilegium.core.departures import Departure
from florilegium.core.errors import UserError
from florilegium.core.figures import PlotChoice
from florilegium.core.metrics import SCORING, Scored, Scoring
from florilegium.core.published import Baseline, Published
from florilegium.core.sampling import Samples
from florilegium.core.strict import Name, Strict

LEAKY = "leaky"  # the arm whose weights saw pictures of the test set
CORRECTED = "corrected"
SHARE = "data.generated.share"
Key = tuple[str, str]  # (experiment, arm)
S = TypeVar("S", bound=Strict)


class Learned(Strict):
    """A data set that an arm learns from, and how many classes and images the study's own has, where that is known."""

    dataset: Name
    stands_in: bool = Field(description="for the study's own")
    classes: int | None
    images: int | None


def key_of(arm: Baseline) -> Key:
    return arm.experiment, arm.arm


class Entry(Strict):
    """One arm of one experiment."""

    experiment: Name
    arm: Name
    task: Scored = "classification"
    title: str
    note: str
    seeds: tuple[int, ...]
    dataset: Name
    source: Name = Field(description="where the data set's pixels are packed")
    storage_size: int | None
    packing: str | None = Field(None, description="how a detector's pictures are packed: scenes<packing>.npy")
    test: tuple[Name, ...] = Field((), description="the splits that it is tested on")
    learns_from: tuple[Learned, ...] = Field(
        (), description="its own data set, then those of what it starts from"
    )
    departures: tuple[Departure, ...] = Field(
        (), description="what is not as in preset `paper`, known before the run"
    )
    published: tuple[Published, ...]
    baseline: Baseline | None
    role: Literal["scratch", "pretrain", "transfer", "rate"]
    lr: float = Field(description="0 where a finder gives it, run by run")
    lr_factor: float
    attention: Attention | None = None
    attribution: Attribution | None = None
    samples: Samples | None = None
    sets: tuple[Name, ...] = Field(
        (), description="of `samples`, in the order of the study, which no JSON object keeps"
    )
    values: dict[str, Any] = Field(
        default_factory=dict, description="what figures draw the arm by: `recipe.batch_size`: 32"
    )

    @property
    def scoring(self) -> Scoring:
        """What its task is judged by."""
        return SCORING[self.task]

    @property
    def key(self) -> Key:
        return self.experiment, self.arm

    @property
    def baseline_key(self) -> Key | None:
        return key_of(self.baseline) if self.baseline else None

    def over(self, figure: Published) -> Key | None:
        """The arm that a gain or a factor is over: the one that it names, or the baseline."""
        return key_of(figure.against) if figure.against else self.baseline_key

    @property
    def compared_with(self) -> tuple[Key, ...]:
        """The arms that it is held against, its baseline first."""
        found = (self.baseline_key, *map(self.over, self.published))
        return tuple(dict.fromkeys(key for key in found if key is not None))


class Study(Strict):
    """A study in one preset."""

    study: Name
    title: str
    preset: Name
    rendered: bool = Field(description="a demo: all its images are drawn by the project")
    preset_note: str
    entries: tuple[Entry, ...]
    figures: tuple[PlotChoice, ...] = ()

    def find(self, key: Key | None) -> Entry | None:
        return self._by_key.get(key) if key else None

    @cached_property
    def _by_key(self) -> dict[Key, Entry]:
        return {entry.key: entry for entry in self.entries}

    def main(self) -> Entry:
        """The arm that the study argues for: the first corrected transfer, else the first arm."""
        transfers = [e for e in self.entries if e.role == "transfer" and e.arm == CORRECTED]
        return (transfers or list(self.entries))[0]

    def classifier(self) -> Entry | None:
        """The arm whose single predictions are shown, or None in a study without classification."""
        found = [e for e in self.entries if e.task == "classification"]
        return next((e for e in found if e == self.main()), found[0] if found else None)

    def detector(self) -> Entry | None:
        """The arm whose single detections are shown: a corrected one, and transferred where there is such; None in a
        study without detection."""
        found = [e for e in self.entries if e.task == "detection"]
        return min(found, key=lambda e: (e.arm != CORRECTED, e.role != "transfer"), default=None)

    def leaks(self) -> list[tuple[Entry, Entry]]:
        """Pairs (leaky, clean) of arms that differ in what their weights were allowed to see."""
        return [
            (entry, clean)
            for entry in self.entries
            if entry.arm == LEAKY and entry.role == "transfer"
            if (clean := self.find(entry.baseline_key)) is not None
        ]

    def gains(self) -> list[tuple[Entry, Entry]]:
        """Pairs (transferred, from scratch) of arms without a leak."""
        return [
            (entry, scratch)
            for entry in self.entries
            if entry.role == "transfer" and entry.arm != LEAKY
            if (scratch := self.find(entry.baseline_key)) is not None and scratch.role == "scratch"
        ]

    def makes_images(self) -> bool:
        """Whether it has sets of generated images."""
        return any(entry.samples for entry in self.entries)

    def additions(self) -> list[tuple[Entry, Entry]]:
        """Pairs (with generated images, without), of each experiment the arm that most are added to."""
        most: dict[str, tuple[Entry, Entry]] = {}
        for entry in sorted(self.entries, key=lambda entry: entry.values.get(SHARE) or 0.0):
            without = self.find(entry.baseline_key)
            if entry.values.get(SHARE) and without is not None:
                most[entry.experiment] = entry, without
        return list(most.values())

    def rates(self) -> list[list[Entry]]:
        """Arms that differ in the learning rate alone, the baseline among them, in rising order."""
        families: dict[Key, list[Entry]] = {}
        for entry in self.entries:
            start = self.find(entry.baseline_key)
            if entry.role == "rate" and start is not None:
                families.setdefault(start.key, [start]).append(entry)
        return [sorted(family, key=lambda entry: entry.lr) for family in families.values()]


class Source(Strict):
    """A data set as the report names it."""

    title: str
    citation: str
    terms: str
    homepage: str


class Page(Strict):
    """What the page of one preset shows."""

    preset: Name
    title: str
    note: str
    studies: dict[Name, Study]
    datasets: dict[Name, Source] = Field(description="by the name that the studies' entries use")
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
    arms = Counter(entry.experiment for entry in study.entries)
    titles = Counter(_name(entry, arms) for entry in study.entries)
    found: dict[Key, str] = {}
    for entry in study.entries:
        name = _name(entry, arms)
        split = entry.experiment.rpartition("_split")[2]
        if titles[name] > 1 and split.isdigit():
            name = f"{name}, split\u00a0{split}"
        found[entry.key] = name
    repeated = {name for name, count in Counter(found.values()).items() if count > 1}
    return {key: "/".join(key) if name in repeated else name for key, name in found.items()}


def _name(entry: Entry, arms: Counter[str]) -> str:
    title = entry.title or entry.experiment
    if arms[entry.experiment] == 1 or entry.arm == CORRECTED:
        return title
    return f"{title} ({entry.arm.replace('_', ' ')})"
