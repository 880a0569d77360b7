"""A resolved experiment, and the tasks that there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from florilegium.config.base import Strict
from florilegium.config.data import DataUse, DetectionData, Init, Model, Samples, split_name
from florilegium.config.metrics import Baseline, Published
from florilegium.config.products import Attention, Attribution
from florilegium.config.recipes import DetectionRecipe, GenerationRecipe, Recipe
from florilegium.config.training_recipe import TrainingRecipe

TaskName = Literal["classification", "detection", "generation"]


@dataclass(frozen=True)
class TaskKind:
    """Types of the sections that an experiment of this kind consists of, beside its model."""

    data: type[Strict]
    recipe: type[TrainingRecipe]
    check: Callable[[Any, Any], None] = lambda data, recipe: None
    """Raises `ValueError` where data and recipe do not go together."""


def _chooses_fairly(data: DataUse, recipe: Recipe) -> None:
    if data.holdout is not None and recipe.select == "best":
        raise ValueError(
            "select = best with data.holdout would choose the epoch on the images it is tested on; set "
            "recipe.select to last"
        )


TASKS: dict[TaskName, TaskKind] = {
    "classification": TaskKind(DataUse, Recipe, _chooses_fairly),
    "detection": TaskKind(DetectionData, DetectionRecipe),
    "generation": TaskKind(DataUse, GenerationRecipe),
}


@dataclass(frozen=True)
class Experiment:
    """One arm of one experiment, fully resolved. Runs of it differ by seed alone."""

    study: str
    name: str
    arm: str
    task: TaskName
    data: Any
    """`DataUse`, or what else the task is specified by; see `config.experiment`."""
    model: Model
    recipe: TrainingRecipe
    init: Init | None
    seeds: tuple[int, ...]
    names_seeds: bool
    """Whether the arm names its own; else they are those of the preset, or of `config.yaml`."""
    title: str
    note: str
    lr_factor: float
    published: tuple[Published, ...]
    baseline: Baseline | None
    split: int | None = None
    """The official split that it is run on, where it is run on each; its name then ends in it."""
    entry: str = ""
    """The entry of the study file that it comes from; of a grid, without the point's values."""
    network: str = ""
    """What the study calls its network."""
    first_weights: str = ""
    """What the study calls its first weights."""
    attention: Attention | None = None
    attribution: Attribution | None = None
    samples: Samples | None = None

    @property
    def key(self) -> str:
        """`study/experiment/arm`: the experiment's place below a preset's results."""
        return f"{self.study}/{self.name}/{self.arm}"

    @property
    def unsplit_name(self) -> str:
        """The name without the official split."""
        return self.without_split(self.name)

    def without_split(self, name: str) -> str:
        """The name of an experiment on the same official split, without the split."""
        return name.removesuffix(split_name("", self.split))

    def spec(self) -> dict[str, Any]:
        """What a training depends on, as JSON values: no title, no name, no published figure."""
        return {
            "data": self.data.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "recipe": self.recipe.used(),
            "init": self.init.model_dump(mode="json", exclude_none=True) if self.init else None,
        }
