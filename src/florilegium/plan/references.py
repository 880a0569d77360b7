"""References between experiments: first weights and baselines, each on its own official split."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from florilegium.config.data import Init, split_name
from florilegium.config.experiment import Experiment
from florilegium.config.metrics import Baseline, Published
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import UserError, unknown

Target = TypeVar("Target", Init, Baseline)
Arm = tuple[str, str]


def connect(experiments: list[Experiment], known: set[Arm], where: str) -> list[Experiment]:
    """Point every `init`, `baseline` and published `against` at the experiment on the same official split.

    A baseline that a preset leaves out is dropped, and a published figure that is over an arm that it leaves out;
    first weights cannot be.

    Args:
        known: (experiment, arm) of the whole study file, whatever the preset leaves out.

    Raises:
        UserError: weights from an experiment that does not exist, or from the experiment itself; a published
            figure over an arm that the study does not have.
    """
    arms = {(e.name, e.arm) for e in experiments}
    connected = []
    for e in experiments:
        init = e.init
        if init is not None and init.experiment is not None:
            init = _on_same_split(e, init, arms)
            if init is None:
                names = [f"{name}/{arm}" for name, arm in arms]
                wanted = f"{e.init.experiment}/{e.init.arm}" if e.init else ""
                raise unknown("experiment", wanted, names, f"{where}: {e.name}: init")
        baseline = _on_same_split(e, e.baseline, arms) if e.baseline else None
        published = tuple(_published(e, arms, known, where))
        connected.append(replace(e, init=init, baseline=baseline, published=published))
    _refuse_circles(connected, where)
    check_generators(connected, where)
    return connected


def _published(e: Experiment, arms: set[Arm], known: set[Arm], where: str) -> Iterator[Published]:
    for figure in e.published:
        against = _on_same_split(e, figure.against, arms) if figure.against else None
        if figure.against is None or against is not None:
            yield figure.model_copy(update={"against": against})
        elif (figure.against.experiment, figure.against.arm) not in known:
            wanted = f"{figure.against.experiment}/{figure.against.arm}"
            names = ("/".join(arm) for arm in known)
            raise unknown("experiment", wanted, names, f"{where}: {e.name}/{e.arm}: published: against")


def _on_same_split(e: Experiment, target: Target, arms: set[Arm]) -> Target | None:
    for name in (split_name(str(target.experiment), e.split), str(target.experiment)):
        if (name, target.arm) in arms:
            return target.model_copy(update={"experiment": name})
    return None


def _refuse_circles(experiments: list[Experiment], where: str) -> None:
    origin = {(e.name, e.arm): (e.init.experiment, e.init.arm) for e in experiments if e.init and e.init.experiment}
    for start in origin:
        seen = [start]
        while (following := origin.get(seen[-1])) is not None:
            if following in seen:
                path = " <- ".join("/".join(step) for step in [*seen, following])
                raise UserError(f"{where}: {start[0]}: init: its weights come from itself ({path})")
            seen.append(following)


def check_generators(experiments: list[Experiment], where: str) -> None:
    """Raise `UserError` where generated images, or the classifier that judges them, do not exist, or where
    images cannot be drawn as asked."""
    by_arm = {(e.name, e.arm): e for e in experiments}
    sets = {f"{e.name}/{e.arm}/{name}": e for e in experiments if e.samples for name in e.samples.sets}
    for e in experiments:
        place = f"{where}: {e.name}/{e.arm}"
        _check_samples(e, place)
        made = getattr(e.data, "generated", None)
        if made and f"{made.experiment}/{made.arm}/{made.samples}" not in sets:
            wanted = f"{made.experiment}/{made.arm}/{made.samples}"
            raise unknown("set of generated images", wanted, sets, f"{place}: data.generated")
        if made:
            _has_all_seeds(e, sets[f"{made.experiment}/{made.arm}/{made.samples}"], f"{place}: data.generated")
        judge = e.samples.judge if e.samples else None
        if judge and (judge.experiment, judge.arm) not in by_arm:
            known = ("/".join(arm) for arm in by_arm)
            raise unknown("experiment", f"{judge.experiment}/{judge.arm}", known, f"{place}: samples.judge")
        if judge:
            _has_all_seeds(e, by_arm[judge.experiment, judge.arm], f"{place}: samples.judge")


def _check_samples(e: Experiment, place: str) -> None:
    """Refuse images of what is no generator, and more steps back from noise than its training took there."""
    if e.samples is None:
        return
    if not isinstance(e.recipe, GenerationRecipe):
        raise UserError(
            f"{place}: samples: are drawn from generators, and the experiment's task is {e.task}; take samples out"
        )
    for name, sampling in e.samples.sets.items():
        if (sampling.steps or 0) > e.recipe.timesteps:
            raise UserError(
                f"{place}: samples.sets.{name}.steps = {sampling.steps}: is more than recipe.timesteps = "
                f"{e.recipe.timesteps}; give {e.recipe.timesteps} at most, or raise recipe.timesteps"
            )


def _has_all_seeds(e: Experiment, other: Experiment, place: str) -> None:
    absent = sorted(set(e.seeds) - set(other.seeds))
    if absent:
        raise UserError(f"{place}: {other.name}/{other.arm} has no seed {absent[0]}; give both the same seeds")


def check_tests(experiments: list[Experiment], where: str) -> None:
    """Raise `UserError` where two arms of a study that are compared were given other test images, or other seeds.

    Where but one of them names its seeds, the others may be a person's choice for all arms: then there is no test.
    """
    by_arm = {(e.name, e.arm): e for e in experiments}
    for e in experiments:
        for target in (e.baseline, *(figure.against for figure in e.published)):
            if target is not None:
                _check_test(e, by_arm[target.experiment, target.arm], where)


def _check_test(e: Experiment, other: Experiment, where: str) -> None:
    place = f"{where}: {e.name}/{e.arm}: is compared with {other.name}/{other.arm}"
    if e.task != other.task or _tested_on(e) != _tested_on(other):
        raise UserError(
            f"{place}, which is tested on other images; give both the same task, data set, test splits and holdout, or "
            "name another baseline"
        )
    one_more = min(len(e.seeds), len(other.seeds)) == 1 < max(len(e.seeds), len(other.seeds))
    if e.names_seeds and other.names_seeds and not set(e.seeds) & set(other.seeds) and not one_more:
        ours, theirs = (", ".join(map(str, seeds)) for seeds in (e.seeds, other.seeds))
        raise UserError(f"{place}, and they have no seed in common ({ours}; {theirs}); give both the same seeds")


def _tested_on(e: Experiment) -> tuple[object, ...]:
    return e.data.dataset, tuple(e.data.test), getattr(e.data, "holdout", None)
