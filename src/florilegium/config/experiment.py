"""A resolved experiment, and the three tasks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from florilegium.config.base import Strict
from florilegium.config.data import DataUse, DetectionData, Init, Model, Samples, split_name
from florilegium.config.metrics import Baseline, Published, TaskName
from florilegium.config.products import Attention, Attribution
from florilegium.config.recipes import DetectionRecipe, GenerationRecipe, Recipe, TrainingRecipe


@dataclass(frozen=True)
class Task:
    """The types of an experiment's sections.

    Attributes:
        check: raises `ValueError` where data and recipe do not go together.
    """

    data: type[Strict]
    recipe: type[TrainingRecipe]
    check: Callable[[Any, Any], None] = lambda data, recipe: None


def _check_selection(data: DataUse, recipe: Recipe) -> None:
    if data.holdout is not None and recipe.select == "best":
        raise ValueError(
            "select = best with data.holdout would choose the epoch on the images it is tested on; set "
            "recipe.select to last"
        )


TASKS: dict[TaskName, Task] = {
    "classification": Task(DataUse, Recipe, _check_selection),
    "detection": Task(DetectionData, DetectionRecipe),
    "generation": Task(DataUse, GenerationRecipe),
}


@dataclass(frozen=True)
class Experiment:
    """One arm of one experiment, fully resolved. Its runs differ by seed alone.

    Attributes:
        data: `DataUse` or `DetectionData`, by the task.
        names_seeds: the arm names its own seeds; else they are those of the preset, or of `config.yaml`.
        split: the number of the official split, where there are several; `name` then ends in it.
        entry: its entry in the study file: of a grid, the name without the point's values.
        network: the study's name for its network.
        first_weights: the study's name for its initial weights.
    """

    study: str
    name: str
    arm: str
    task: TaskName
    data: Any
    model: Model
    recipe: TrainingRecipe
    init: Init | None
    seeds: tuple[int, ...]
    names_seeds: bool
    title: str
    note: str
    lr_factor: float
    published: tuple[Published, ...]
    baseline: Baseline | None
    split: int | None = None
    entry: str = ""
    network: str = ""
    first_weights: str = ""
    attention: Attention | None = None
    attribution: Attribution | None = None
    samples: Samples | None = None

    @property
    def key(self) -> str:
        """`study/experiment/arm`: the experiment's folder below a preset's results."""
        return f"{self.study}/{self.name}/{self.arm}"

    @property
    def unsplit_name(self) -> str:
        """The name without the official split."""
        return self.without_split(self.name)

    def without_split(self, name: str) -> str:
        """The name of an experiment on the same official split, without the split."""
        return name.removesuffix(split_name("", self.split))

    def spec(self) -> dict[str, Any]:
        """The JSON values that a training depends on: no title, no name, no published number."""
        return {
            "data": self.data.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "recipe": self.recipe.used(),
            "init": self.init.model_dump(mode="json", exclude_none=True) if self.init else None,
        }
