"""What each training is in its study: the names under which the workflow lists and runs trainings."""

from collections.abc import Iterable
from typing import Literal, get_args

from florilegium.config.experiment import Experiment, TaskName
from florilegium.plan.plan import Plan

Phase = Literal["pretrain", "sweep", "ablate", "finetune", "train"]
PHASES: tuple[Phase, ...] = get_args(Phase)
PUBLISHED_NORM = "ln"  # of the transformers in which another one is tried
Group = tuple[Phase, TaskName, tuple[int, ...]]


def phase_of(e: Experiment, role: str) -> Phase:
    """The first of these that is true of an arm.

    - `pretrain`: others of its study learn from it, and nothing of it is published.
    - `sweep`: it is its experiment at another learning rate, or a point of a grid.
    - `ablate`: some blocks of its network are frozen, or a transformer normalises otherwise than by layers.
    - `finetune`: it starts from weights.
    - `train`: none of these.

    Args:
        role: as `Plan.role` has it.
    """
    if role == "pretrain":
        return "pretrain"
    if role == "rate" or _is_grid_point(e):
        return "sweep"
    if getattr(e.recipe, "freeze_blocks", 0) or _has_other_norm(e):
        return "ablate"
    return "finetune" if e.init else "train"


def _is_grid_point(e: Experiment) -> bool:
    return e.unsplit_name != e.entry


def _has_other_norm(e: Experiment) -> bool:
    norm = e.model.arguments.get("norm", PUBLISHED_NORM)
    return e.task == "classification" and norm != PUBLISHED_NORM


def groups(plan: Plan) -> dict[Group, list[str]]:
    """The trainings by what a rule is made for: phase, task, and the seeds that share a process; as
    `Experiment.key`s."""
    found: dict[Group, list[str]] = {}
    for (task, seeds), keys in plan.groups().items():
        for e in (plan.find(*key.split("/")) for key in keys):
            found.setdefault((phase_of(e, plan.role(e)), task, seeds), []).append(e.key)
    return found


def shares_seeds(group: Group, others: Iterable[Group]) -> bool:
    """Whether another group makes runs of a seed that this one makes runs of, too."""
    return any(set(group[2]) & set(other[2]) for other in others if other != group)
