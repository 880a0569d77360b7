"""The kinds of training: what each is specified by, and what it refuses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from florilegium.core.detection import DetectionData
from florilegium.core.detection_recipe import DetectionRecipe
from florilegium.core.generation_recipe import GenerationRecipe
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse
from florilegium.core.strict import Strict
from florilegium.core.training_recipe import TrainingRecipe

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
