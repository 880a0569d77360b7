"""A resolved experiment: data set x model x recipe (x first weights), in one arm."""

from dataclasses import dataclass
from typing import Any

from florilegium.core.attention_settings import Attention
from florilegium.core.published import Baseline, Published
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse, Init, Model


@dataclass(frozen=True)
class Experiment:
    """One arm of one experiment, fully resolved. Runs of it differ by seed alone."""

    study: str
    name: str
    arm: str
    data: DataUse
    model: Model
    recipe: Recipe
    init: Init | None
    seeds: tuple[int, ...]
    title: str
    note: str
    lr_factor: float
    published: tuple[Published, ...]
    baseline: Baseline | None
    attention: Attention | None = None

    @property
    def key(self) -> str:
        """`study/experiment/arm`: the experiment's place below a preset's results."""
        return f"{self.study}/{self.name}/{self.arm}"

    def spec(self) -> dict[str, Any]:
        """What a training depends on, as JSON values: no title, no name, no published figure."""
        return {
            "data": self.data.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "recipe": self.recipe.used(),
            "init": self.init.model_dump(mode="json", exclude_none=True) if self.init else None,
        }
