"""The claims of a study in one preset: their arms found, with what the preset leaves out."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from florilegium.config.claims import Claim, ClaimEntry, Step, check_bounds, claimed_value
from florilegium.config.experiment import Experiment
from florilegium.config.metrics import SCORING, Published, TaskName, check_metrics
from florilegium.core.errors import Mistakes, UserError, some, unknown
from florilegium.plan.entries import DEFAULT_ARM, Arm
from florilegium.plan.references import check_test


class Measured(Protocol):
    """An arm of a study, in a plan or in a description."""

    @property
    def key_in_study(self) -> Arm: ...
    @property
    def unsplit_name(self) -> str: ...
    @property
    def split(self) -> int | None: ...
    @property
    def task(self) -> TaskName: ...
    @property
    def published(self) -> tuple[Published, ...]: ...


def choose_claims(
    entries: Sequence[ClaimEntry], arms: Sequence[Measured], known: Collection[Arm], where: str
) -> list[Claim]:
    """The claims of one study in one preset, whose arms are `arms`.

    A claim on arms that are run on several official splits is about each of the splits.

    Args:
        known: (experiment, arm) of the whole study file, with those that the preset leaves out.
        where: the study file, for error messages.

    Raises:
        UserError, UserErrors: two claims of one name; an arm or a metric that does not exist; bounds or a published
            value that do not fit.
    """
    here: dict[Arm, list[Measured]] = {}
    for of in arms:
        for key in {of.key_in_study, (of.unsplit_name, of.key_in_study[1])}:
            here.setdefault(key, []).append(of)
    mistakes = Mistakes()
    chosen: list[Claim] = []
    for number, entry in enumerate(entries):
        place = f"{where}: claims.{entry.name}"
        with mistakes.caught():
            if any(entry.name == other.name for other in entries[:number]):
                raise UserError(f"{place}: the name stands twice; choose another for one of them")
            for arm in _named(entry):
                _check_arm(arm, {*known, *here}, f"{place}.arms")
            chosen.append(_chosen(entry, here, place))
    mistakes.refuse()
    return chosen


def check_claims(claims: Iterable[Claim], experiments: Sequence[Experiment], where: str) -> None:
    """Raise `UserError` or `UserErrors` where two arms of a claim on their main metric cannot be compared."""
    by_arm = {e.key_in_study: e for e in experiments}
    mistakes = Mistakes()
    for claim in claims:
        for key, other in claim.steps:
            if other is not None and claim.metric == SCORING[by_arm[key].task].main:
                with mistakes.caught():
                    check_test(by_arm[key], by_arm[other], f"{where}: claims.{claim.name}: {'/'.join(key)} is")
    mistakes.refuse()


def _named(entry: ClaimEntry) -> list[Arm]:
    """The arms that a claim names, each once."""
    return list(dict.fromkeys(_arm(text) for chain in entry.chains for text in chain))


def _arm(text: str) -> Arm:
    """`experiment/arm` as a pair; an experiment alone means its usual arm."""
    experiment, _, arm = text.partition("/")
    return experiment, arm or DEFAULT_ARM


def _check_arm(arm: Arm, known: Collection[Arm], where: str) -> None:
    if arm in known:
        return
    names = {name for name, _ in known}
    if arm[0] not in names:
        raise unknown("experiment", arm[0], names, where)
    raise unknown("arm", arm[1], (of for name, of in known if name == arm[0]), f"{where}: {arm[0]}")


def _chosen(entry: ClaimEntry, here: Mapping[Arm, Sequence[Measured]], place: str) -> Claim:
    """A claim with its comparisons; raises `UserError` for a metric, bounds or a published value that do not fit."""
    named = _named(entry)
    tasks = sorted({of.task for arm in named for of in here.get(arm, ())})
    metric = entry.metric or (SCORING[tasks[0]].main if tasks else None)
    every: list[TaskName | None] = [*tasks] or [None]
    for task in every if metric else ():
        check_metrics([str(metric)], task, f"{place}.metric")
    steps = [step for chain in entry.chains for step in _steps([_arm(text) for text in chain], here)]
    n_splits = max((len(here[arm]) for arm in named if arm in here), default=1)
    claim = Claim(
        **entry.model_dump(exclude={"arms", "also", "metric"}),
        metric=metric,
        steps=tuple(steps),
        n_steps=n_splits * sum(max(1, len(chain) - 1) for chain in entry.chains),
        lacks=entry.untested or _left_out([arm for arm in named if arm not in here]),
    )
    if steps:
        check_bounds(claim, place)
    for key, other in steps:
        if other is None and not claim.bounds:
            claimed_value(claim, here[key][0].published, f"{place}: {'/'.join(key)}")
    return claim


def _left_out(arms: Sequence[Arm]) -> str:
    return f"this preset leaves out {some(['/'.join(arm) for arm in arms], most=3)}" if arms else ""


def _steps(chain: Sequence[Arm], here: Mapping[Arm, Sequence[Measured]]) -> Iterable[Step]:
    """The comparisons of a chain of arms that the preset has, on each official split in turn."""
    if len(chain) == 1:
        yield from ((of.key_in_study, None) for of in here.get(chain[0], ()))
    for one, other in itertools.pairwise(chain):
        for of in here.get(one, ()):
            yield from ((of.key_in_study, o.key_in_study) for o in here.get(other, ()) if o.split == of.split)
