"""What GPU hours are estimated from: of each experiment what its number of passes depends on, and nothing else."""

from collections import Counter
from typing import Any

from florilegium.core.experiment import Experiment
from florilegium.core.recipe import Recipe
from florilegium.core.training_recipe import FROM_FINDER
from florilegium.plan.plan import Plan

# What the number and size of a training's steps depend on.
COUNTED = frozenset(
    {
        *("epochs", "epoch_steps", "batch_size", "accumulate", "drop_last", "precision", "select"),
        *("image_size", "freeze", "freeze_blocks", "timesteps"),
    }
)


def estimated(plan: Plan) -> list[dict[str, Any]]:
    """The experiments whose data set tells how many images it has, as JSON values."""
    return [_entry(plan, e) for e in plan.experiments if _images(plan, e) is not None]


def uncounted(plan: Plan) -> dict[str, int]:
    """How many arms the others are, by data set."""
    return dict(Counter(plan.source(e.data.dataset)[0] for e in plan.experiments if _images(plan, e) is None))


def _images(plan: Plan, e: Experiment) -> dict[str, int] | None:
    images = plan.datasets[plan.source(e.data.dataset)[0]].images
    return None if images is None else {str(split): count for split, count in images.items()}


def _entry(plan: Plan, e: Experiment) -> dict[str, Any]:
    source = plan.datasets[plan.source(e.data.dataset)[0]]
    cached = isinstance(e.recipe, Recipe) and e.recipe.features == "cached"
    return {
        "experiment": e.key,
        "task": e.task,
        "runs": len(e.seeds),
        "images": _images(plan, e),
        "sides": source.sides,
        "classes": len(source.classes),
        "model": e.model.model_dump(mode="json"),
        "recipe": e.recipe.model_dump(mode="json", include=set(COUNTED)),
        "data": e.data.model_dump(mode="json", exclude={"storage_size", "clean"}),
        "cached": cached,
        "features": 1 if plan.features_seed(e) is not None else len(e.seeds),
        "finder": e.recipe.finder_steps if e.recipe.lr == FROM_FINDER else None,
        "attention": e.attention.model_dump(mode="json") if e.attention else None,
        "attribution": e.attribution.model_dump(mode="json") if e.attribution else None,
        "sets": {name: s.model_dump(mode="json") for name, s in e.samples.sets.items()} if e.samples else {},
        "judge": _judge(plan, e),
    }


def _judge(plan: Plan, e: Experiment) -> dict[str, Any] | None:
    if e.samples is None or e.samples.judge is None:
        return None
    judge = plan.find(e.study, e.samples.judge.experiment, e.samples.judge.arm)
    return {
        "model": judge.model.model_dump(mode="json"),
        "recipe": judge.recipe.model_dump(mode="json", include={"epochs", "image_size"}),
    }
