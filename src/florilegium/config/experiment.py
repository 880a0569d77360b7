"""A resolved experiment, and the three tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from florilegium.config.base import Strict
from florilegium.config.data import DataUse, DetectionData, Init, Model, Samples
from florilegium.config.datasets import split_name
from florilegium.config.metrics import Baseline, Published, TaskName
from florilegium.config.products import Attention, Attribution
from florilegium.config.recipes import DetectionRecipe, GenerationRecipe, Recipe, TrainingRecipe


@dataclass(frozen=True)
class Task:
    """The types of an experiment's sections."""

    data: type[Strict]
    recipe: type[TrainingRecipe]


TASKS: dict[TaskName, Task] = {
    "classification": Task(DataUse, Recipe),
    "detection": Task(DetectionData, DetectionRecipe),
    "generation": Task(DataUse, GenerationRecipe),
}


def check_selection(data: DataUse | DetectionData, recipe: TrainingRecipe) -> None:
    """Refuse to choose an epoch, or a rate, by images that there are not, or that the result is measured on.

    Raises:
        ValueError: the first such key.
    """
    held_out = getattr(data, "holdout", None) is not None
    if held_out and recipe.select == "best":
        raise ValueError(
            "recipe.select = best with data.holdout would choose the epoch on the images it is tested on; set "
            "recipe.select to last"
        )
    needs = {
        "select = best": recipe.select == "best",
        "schedule = plateau": recipe.schedule == "plateau",
        "early_stop": recipe.early_stop is not None,
    }
    is_validated = data.val or held_out or getattr(data, "choose_on_test", False)
    if not is_validated and (key := next((key for key, is_set in needs.items() if is_set), None)):
        raise ValueError(
            f"recipe.{key} looks at validation images, and data.val names none; name a split in data.val"
            + (", or set recipe.select to last" if recipe.select == "best" else "")
        )


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
        places: for a key such as `recipe.lr`, or a section, the file and the key in it that hold it.
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
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def place(self, key: str) -> str:
        """Where a key, or a section, of the experiment is set, for messages: the file and the whole key."""
        section = key.partition(".")[0]
        return f"{self.places.get(key) or self.places.get(section) or f'{self.study}/{self.entry}/{self.arm}:'}.{key}"

    @property
    def key(self) -> str:
        """`study/experiment/arm`: the experiment's folder below a preset's results."""
        return f"{self.study}/{self.name}/{self.arm}"

    @property
    def key_in_study(self) -> tuple[str, str]:
        """(experiment, arm)."""
        return self.name, self.arm

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
            "data": self.data.model_dump(mode="json", exclude=None if self.data.clean else {"clean_by"}),
            "model": self.model.model_dump(mode="json"),
            "recipe": self.recipe.used(),
            "init": self.init.model_dump(mode="json", exclude_none=True) if self.init else None,
        }
