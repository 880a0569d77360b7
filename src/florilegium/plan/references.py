"""References between experiments of a study: initial weights, generators, judges and baselines."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from florilegium.config.data import Init, split_name
from florilegium.config.experiment import Experiment
from florilegium.config.metrics import Baseline, Published
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import UserError, unknown

Target = TypeVar("Target", Init, Baseline)
Arm = tuple[str, str]


def connect(experiments: Sequence[Experiment], known: set[Arm], where: str) -> list[Experiment]:
    """Point every `init`, `baseline` and published `against` to the experiment on the same official split.

    A baseline that a preset leaves out is dropped, and so is a published number relative to such an arm; initial
    weights cannot be left out.

    Args:
        known: (experiment, arm) of the whole study file, with those that the preset leaves out.

    Raises:
        UserError: weights from an experiment that does not exist, or from the experiment itself; a published number
            relative to an arm that the study does not have; generated images, or a judge, that do not exist.
    """
    arms = {(e.name, e.arm) for e in experiments}
    connected = []
    for e in experiments:
        init = e.init
        if init is not None and init.experiment is not None:
            init = _on_same_split(e, init, arms)
            if init is None:
                raise _unknown(f"{e.init.experiment}/{e.init.arm}" if e.init else "", arms, f"{where}: {e.name}: init")
        baseline = _on_same_split(e, e.baseline, arms) if e.baseline else None
        connected.append(replace(e, init=init, baseline=baseline, published=tuple(_published(e, arms, known, where))))
    _check_circles(connected, where)
    _check_generators(connected, where)
    return connected


def _unknown(arm: str, known: set[Arm], where: str) -> UserError:
    return unknown("experiment", arm, ("/".join(arm) for arm in known), where)


def _published(e: Experiment, arms: set[Arm], known: set[Arm], where: str) -> Iterator[Published]:
    for number in e.published:
        against = _on_same_split(e, number.against, arms) if number.against else None
        if number.against is None or against is not None:
            yield number.model_copy(update={"against": against})
        elif (number.against.experiment, number.against.arm) not in known:
            place = f"{where}: {e.name}/{e.arm}: published: against"
            raise _unknown(f"{number.against.experiment}/{number.against.arm}", known, place)


def _on_same_split(e: Experiment, target: Target, arms: set[Arm]) -> Target | None:
    for name in (split_name(str(target.experiment), e.split), str(target.experiment)):
        if (name, target.arm) in arms:
            return target.model_copy(update={"experiment": name})
    return None


def _check_circles(experiments: Sequence[Experiment], where: str) -> None:
    origin = {(e.name, e.arm): (e.init.experiment, e.init.arm) for e in experiments if e.init and e.init.experiment}
    for start in origin:
        seen = [start]
        while (following := origin.get(seen[-1])) is not None:
            if following in seen:
                path = " <- ".join("/".join(step) for step in [*seen, following])
                raise UserError(f"{where}: {start[0]}: init: its weights come from itself ({path})")
            seen.append(following)


def _check_generators(experiments: Sequence[Experiment], where: str) -> None:
    by_arm = {(e.name, e.arm): e for e in experiments}
    sets = {f"{e.name}/{e.arm}/{name}": e for e in experiments if e.samples for name in e.samples.sets}
    for e in experiments:
        place = f"{where}: {e.name}/{e.arm}"
        _check_samples(e, place)
        if generated := getattr(e.data, "generated", None):
            name = f"{generated.experiment}/{generated.arm}/{generated.samples}"
            if name not in sets:
                raise unknown("set of generated images", name, sets, f"{place}: data.generated")
            _check_seeds(e, sets[name], f"{place}: data.generated")
        if judge := e.samples.judge if e.samples else None:
            if (judge.experiment, judge.arm) not in by_arm:
                raise _unknown(f"{judge.experiment}/{judge.arm}", set(by_arm), f"{place}: samples.judge")
            _check_seeds(e, by_arm[judge.experiment, judge.arm], f"{place}: samples.judge")


def _check_samples(e: Experiment, place: str) -> None:
    """Refuse samples of an experiment without a generator, and more denoising steps than it has timesteps."""
    if e.samples is None:
        return
    if not isinstance(e.recipe, GenerationRecipe):
        raise UserError(
            f"{place}: samples: are made by generators, and the experiment's task is {e.task}; take samples out"
        )
    most = e.recipe.timesteps
    for name, sampling in e.samples.sets.items():
        if (sampling.steps or 0) > most:
            raise UserError(
                f"{place}: samples.sets.{name}.steps = {sampling.steps}: is more than recipe.timesteps = {most}; give "
                f"{most} at most, or raise recipe.timesteps"
            )


def _check_seeds(e: Experiment, other: Experiment, place: str) -> None:
    absent = sorted(set(e.seeds) - set(other.seeds))
    if absent:
        raise UserError(f"{place}: {other.name}/{other.arm} has no seed {absent[0]}; give both the same seeds")


def check_tests(experiments: Sequence[Experiment], where: str) -> None:
    """Raise `UserError` where two arms of a study that are compared have other test images, or no seed in common.

    If only one of them names its own seeds, the seeds of the other may be a user's choice for all arms: then the
    comparison has no test.
    """
    by_arm = {(e.name, e.arm): e for e in experiments}
    for e in experiments:
        for target in (e.baseline, *(number.against for number in e.published)):
            if target is not None:
                _check_test(e, by_arm[target.experiment, target.arm], where)


def _check_test(e: Experiment, other: Experiment, where: str) -> None:
    place = f"{where}: {e.name}/{e.arm}: is compared with {other.name}/{other.arm}"
    if _tested_on(e) != _tested_on(other):
        raise UserError(
            f"{place}, which is tested on other images; give both the same task, data set, test splits and holdout, or "
            "name another baseline"
        )
    one_with_many = min(len(e.seeds), len(other.seeds)) == 1 < max(len(e.seeds), len(other.seeds))
    if e.names_seeds and other.names_seeds and not set(e.seeds) & set(other.seeds) and not one_with_many:
        ours, theirs = (", ".join(map(str, seeds)) for seeds in (e.seeds, other.seeds))
        raise UserError(f"{place}, and they have no seed in common ({ours}; {theirs}); give both the same seeds")


def _tested_on(e: Experiment) -> tuple[object, ...]:
    return e.task, e.data.dataset, tuple(e.data.test), getattr(e.data, "holdout", None)
