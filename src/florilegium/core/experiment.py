"""A resolved experiment: data set x model x recipe (x first weights), in one arm."""

from dataclasses import dataclass
from typing import Any

from florilegium.core.attention_settings import Attention
from florilegium.core.attribution_settings import Attribution
from florilegium.core.published import Baseline, Published
from florilegium.core.sampling import Samples
from florilegium.core.sources import split_name
from florilegium.core.spec import Init, Model
from florilegium.core.tasks import TaskName
from florilegium.core.training_recipe import TrainingRecipe


@dataclass(frozen=True)
class Experiment:
    """One arm of one experiment, fully resolved. Runs of it differ by seed alone."""

    study: str
    name: str
    arm: str
    task: TaskName
    data: Any
    """`DataUse`, or what else the task is specified by; see `core.tasks`."""
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
