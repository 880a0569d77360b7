"""References between the experiments of a study: initial weights, generated images, judges and baselines."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from florilegium.config.data import Generated, Init, Judge
from florilegium.config.datasets import split_name, split_of
from florilegium.config.experiment import Experiment
from florilegium.config.metrics import Baseline, check_metrics
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import Mistakes, UserError, unknown
from florilegium.plan.entries import Arm, LoadedStudy

Target = TypeVar("Target", Init, Baseline, Judge, Generated)
Link = Init | Baseline | Judge | Generated


@dataclass(frozen=True)
class Names:
    """The arms of a study by name.

    Attributes:
        here: those of this preset, and of `config.yaml`.
        broken: those that have mistakes of their own, of which nothing further is said.
        known: those of the study file and those that overlays add, with what a preset leaves out.
        study: the study file.
    """

    here: Collection[Arm]
    broken: Collection[Arm]
    known: Collection[Arm]
    study: LoadedStudy
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(name for name, _ in self.known))

    def find(self, e: Experiment, target: Target) -> Target | None:
        """The target on the same official split, or by its whole name; None if it is not here."""
        for name in (split_name(str(target.experiment), e.split), str(target.experiment)):
            if (name, target.arm) in self.here:
                return target.model_copy(update={"experiment": name})
        return None

    def is_left_out(self, target: Link, where: str) -> bool:
        """True for a target that the study has and this preset leaves out.

        Raises:
            UserError: a target that the study does not have; the sentence starts with `where`.
        """
        experiment = str(target.experiment)
        for name in (experiment, split_of(experiment)[0]):
            if (name, target.arm) in self.known:
                return True
        self._check_experiment(experiment, where)
        arms = [arm for name, arm in self.known if name in (experiment, split_of(experiment)[0])]
        raise unknown("arm", target.arm, arms, f"{where}: {experiment}")

    def _check_experiment(self, name: str, where: str) -> None:
        if name in self.names or split_of(name)[0] in self.names:
            return
        entry = self.study.file.experiments.get(name)
        if entry is None:
            raise unknown("experiment", name, self.names, where)
        if entry.abstract:
            raise UserError(f"{where}: {name} is abstract, so it is never run; name an experiment that is")
        points = ", ".join(self.study.points_of(name))
        raise UserError(f"{where}: {name} has a grid, so that one of its points is meant; write one of {points}")


def connect(experiments: Sequence[Experiment], names: Names) -> list[Experiment]:
    """Point every `init` and `baseline` to the experiment on the same official split.

    A baseline that a preset leaves out is dropped; initial weights, generated images and judges cannot be left out.

    Raises:
        UserError, UserErrors: names that the study does not have; an experiment that is its own baseline or start.
    """
    mistakes = Mistakes()
    connected = []
    for e in experiments:
        init, baseline, data, samples = e.init, e.baseline, e.data, e.samples
        with mistakes.caught():
            init = _needed(e, e.init, names, "init") if e.init and e.init.experiment else e.init
        with mistakes.caught():
            baseline = _baseline(e, names)
        with mistakes.caught():
            _check_published(e)
        with mistakes.caught():
            if generated := getattr(data, "generated", None):
                data = data.model_copy(update={"generated": _needed(e, generated, names, "data.generated")})
        with mistakes.caught():
            if samples and samples.judge and e.task == "generation":
                samples = samples.model_copy(update={"judge": _needed(e, samples.judge, names, "samples.judge")})
        connected.append(replace(e, init=init, baseline=baseline, data=data, samples=samples))
    with mistakes.caught():
        _check_circles(connected)
        _check_generators(connected)
    mistakes.refuse()
    return connected


def _needed(e: Experiment, target: Target, names: Names, key: str) -> Target:
    """The target, which must be here. A broken one is returned as it is, since its own mistake is told."""
    where = e.place(key)
    found = names.find(e, target)
    if found is not None:
        return found
    if not _is_broken(e, target, names) and names.is_left_out(target, where):
        arm = f"{target.experiment}/{target.arm}"
        splits = sorted(f"{name}/{of}" for name, of in names.here if _is_split_of(name, str(target.experiment)))
        if splits:
            raise UserError(
                f"{where}: {arm} is run on official splits of its data set, and {e.unsplit_name} is not; write one of "
                f"{', '.join(splits)}"
            )
        raise UserError(
            f"{where}: {arm} is left out here (skip, or skip_arms), and {e.entry} needs it; keep it, leave out "
            f"{e.entry} as well, or name another"
        )
    return target


def _is_split_of(name: str, whole: str) -> bool:
    """True for the name of an experiment on one official split of its data set."""
    stem, split = split_of(name)
    return split is not None and stem == whole


def _is_broken(e: Experiment, target: Link, names: Names) -> bool:
    at = (split_name(str(target.experiment), e.split), str(target.experiment))
    return any((name, target.arm) in names.broken for name in at)


def _baseline(e: Experiment, names: Names) -> Baseline | None:
    if e.baseline is None:
        return None
    where = e.place("baseline")
    found = names.find(e, e.baseline)
    if found is None:
        if not _is_broken(e, e.baseline, names):
            names.is_left_out(e.baseline, where)
    elif (found.experiment, found.arm) == (e.name, e.arm):
        raise UserError(f"{where}: {e.baseline.experiment}/{e.arm} would be compared with itself; name another")
    return found


def _check_published(e: Experiment) -> None:
    """Raise `UserError` or `UserErrors` for published numbers of metrics that the arm's task does not have."""
    mistakes = Mistakes()
    for number in e.published:
        with mistakes.caught():
            check_metrics([number.metric], e.task, f"{e.place('published')}.metric")
    mistakes.refuse()


def _check_circles(experiments: Sequence[Experiment]) -> None:
    """Raise `UserError` for weights, or images to learn from, that come from the experiment itself."""
    origins: dict[Arm, list[Arm]] = {}
    for e in experiments:
        starts = [start for start in (e.init, getattr(e.data, "generated", None)) if start and start.experiment]
        origins[e.name, e.arm] = [(str(start.experiment), start.arm) for start in starts]
    for e in experiments:
        if circle := _way_back((e.name, e.arm), origins):
            way = " <- ".join("/".join(step) for step in circle)
            key = "init" if e.init and (e.init.experiment, e.init.arm) == circle[1] else "data.generated"
            raise UserError(f"{e.place(key)}: it learns from itself ({way}); name another")


def _way_back(start: Arm, origins: Mapping[Arm, Sequence[Arm]]) -> list[Arm]:
    """The arms from one over its origins back to it; empty if none leads back."""
    paths, seen = [[start]], set()
    while paths:
        path = paths.pop()
        for origin in origins.get(path[-1], ()):
            if origin == start:
                return [*path, origin]
            if origin not in seen:
                seen.add(origin)
                paths.append([*path, origin])
    return []


def _check_generators(experiments: Sequence[Experiment]) -> None:
    """Raise `UserError` or `UserErrors` for samples, for images that classifiers learn from, and for judges."""
    mistakes = Mistakes()
    by_arm = {(e.name, e.arm): e for e in experiments}
    sets = {f"{e.name}/{e.arm}/{name}": e for e in by_arm.values() if e.samples for name in e.samples.sets}
    for e in experiments:
        with mistakes.caught():
            _check_samples(e, e.place("samples"))
        with mistakes.caught():
            generated = getattr(e.data, "generated", None)
            if generated and (generated.experiment, generated.arm) in by_arm:
                name = f"{generated.experiment}/{generated.arm}/{generated.samples}"
                if name not in sets:
                    raise unknown("set of generated images", name, sets, e.place("data.generated"))
                _check_seeds(e, sets[name], e.place("data.generated"))
        with mistakes.caught():
            judge = e.samples.judge if e.samples else None
            if judge and (judge.experiment, judge.arm) in by_arm:
                _check_judge(e, by_arm[judge.experiment, judge.arm], e.place("samples.judge"))
    mistakes.refuse()


def _check_judge(e: Experiment, judge: Experiment, where: str) -> None:
    """Raise `UserError` for a judge that is no classifier, or without a seed of the generator."""
    if judge.task != "classification":
        raise UserError(
            f"{where}: {judge.name}/{judge.arm} is for {judge.task}, and a judge tells classes apart; name a classifier"
        )
    _check_seeds(e, judge, where)


def _check_samples(e: Experiment, place: str) -> None:
    """Refuse samples of an experiment without a generator, and more denoising steps than it has timesteps."""
    if e.samples is None:
        return
    if not isinstance(e.recipe, GenerationRecipe):
        raise UserError(f"{place}: are made by generators, and the experiment's task is {e.task}; take samples out")
    most = e.recipe.timesteps
    for name, sampling in e.samples.sets.items():
        if (sampling.steps or 0) > most:
            raise UserError(
                f"{place}.sets.{name}.steps = {sampling.steps}: is more than recipe.timesteps = {most}; give "
                f"{most} at most, or raise recipe.timesteps"
            )


def _check_seeds(e: Experiment, other: Experiment, place: str) -> None:
    absent = sorted(set(e.seeds) - set(other.seeds))
    if absent:
        raise UserError(f"{place}: {other.name}/{other.arm} has no seed {absent[0]}; give both the same seeds")


# Tests


def check_tests(experiments: Sequence[Experiment], where: str) -> None:
    """Raise `UserError` or `UserErrors` where an arm of a study cannot be tested against its baseline."""
    by_arm = {(e.name, e.arm): e for e in experiments}
    mistakes = Mistakes()
    for e in experiments:
        if e.baseline is not None:
            with mistakes.caught():
                check_test(e, by_arm[e.baseline.experiment, e.baseline.arm], f"{where}: {e.unsplit_name}/{e.arm}: is")
    mistakes.refuse()


def check_test(e: Experiment, other: Experiment, place: str) -> None:
    """Raise `UserError`, which starts with `place`, where two arms have other test images, or no seed in common.

    If only one of them names its own seeds, the seeds of the other may be a user's choice for all arms: then the
    comparison has no test.
    """
    place = f"{place} compared with {other.unsplit_name}/{other.arm}"
    if _tested_on(e) != _tested_on(other):
        raise UserError(
            f"{place}, which is tested on other images; give both the same task, data set, test splits and holdout, or "
            "name another"
        )
    one_with_many = min(len(e.seeds), len(other.seeds)) == 1 < max(len(e.seeds), len(other.seeds))
    if e.names_seeds and other.names_seeds and not set(e.seeds) & set(other.seeds) and not one_with_many:
        own, others = (", ".join(map(str, seeds)) for seeds in (e.seeds, other.seeds))
        raise UserError(f"{place}, and they have no seed in common ({own}; {others}); give both the same seeds")


def _tested_on(e: Experiment) -> tuple[object, ...]:
    return e.task, e.data.dataset, tuple(e.data.test), getattr(e.data, "holdout", None)
