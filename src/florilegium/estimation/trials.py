"""Trials of all networks of a plan, in a process of their own: a plan is made without importing torch.

A network that has passed is tried again only when something changes that the trial reads. Those of the project's own
presets are listed in `workflow/networks.json`, which this program makes:

    python -m florilegium.estimation.trials

what else has passed is saved when the workflow starts.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import Field

from florilegium.config.base import Strict, Texts
from florilegium.config.data import Model
from florilegium.config.experiment import Experiment
from florilegium.config.metrics import TaskName
from florilegium.config.products import PARTIAL, Attention, Method
from florilegium.config.weights import WeightsOverride
from florilegium.core.errors import Mistakes, UserError, UserErrors, run_main
from florilegium.core.files import read_json, write_json, write_text
from florilegium.models.arguments import ATTENTION_RESNETS, CIFAR_RESNETS, timm_tags
from florilegium.models.checks import located
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan
from florilegium.plan.project_files import PRESETS

PROGRAM = "florilegium.estimation.trial"
KNOWN = Path("workflow") / "networks.json"  # below the project
PASSED = Path(".snakemake") / "florilegium-networks.json"  # below the present folder
LIMIT = 600  # seconds for all networks of a plan
DIGITS = 16
SMALL = {*CIFAR_RESNETS, *ATTENTION_RESNETS}  # networks for images of 32 pixels
Answers = list[list[str]]


class Trial(Strict):
    """What is asked of a network, by the keys of an experiment that it depends on."""

    model: Model
    task: TaskName
    freeze: Texts
    freeze_blocks: int
    is_cached: bool
    image_size: int | None
    drop_path: float
    dropout: float
    attention: Attention | None
    methods: Annotated[tuple[Method, ...], Field(strict=False)]  # of attribution, where it is unsure whether one suits
    weights: str | None = None  # that it starts from, by timm's name, where they may want pixels as no other tag does

    @property
    def digest(self) -> str:
        return sha256(self.model_dump_json().encode()).hexdigest()[:DIGITS]


def trial_of(e: Experiment, own: Mapping[str, WeightsOverride]) -> Trial:
    """What an experiment asks of its network; `own` are the `weights` of the configuration."""
    return Trial(
        model=e.model,
        task=e.task,
        freeze=e.recipe.freeze,
        freeze_blocks=e.recipe.freeze_blocks,
        is_cached=getattr(e.recipe, "features", None) == "cached",
        image_size=getattr(e.recipe, "image_size", None),
        drop_path=getattr(e.recipe, "drop_path", 0.0),
        dropout=getattr(e.recipe, "dropout", 0.0),
        attention=e.attention,
        methods=e.attribution.methods if e.attribution and PARTIAL.issuperset(e.attribution.methods) else (),
        weights=_tagged_weights(e, own),
    )


def _tagged_weights(e: Experiment, own: Mapping[str, WeightsOverride]) -> str | None:
    """timm's name of the weights, unless the network has it, or gets pixels as the recipe says or small ones."""
    if not (e.init and e.init.weights) or e.model.name in SMALL or getattr(e.recipe, "mean", None) is not None:
        return None
    replaced = own.get(e.init.weights)
    tag = (replaced and replaced.model) or e.init.weights
    return tag if tag in timm_tags() and tag != e.model.name else None


def in_a_process(trials: Sequence[Trial]) -> Answers:
    """The answers of `florilegium.estimation.trial`; as far as they are known when the time is over."""
    asked = "".join(trial.model_dump_json() + "\n" for trial in trials)
    try:
        done = subprocess.run(
            [sys.executable, "-m", PROGRAM], input=asked, capture_output=True, text=True, timeout=LIMIT, check=True
        )
    except subprocess.TimeoutExpired as expired:
        answers = _read(expired.stdout)
        slow = trials[len(answers)].model.name
        return [*answers, [f"model.arguments: {slow} takes more than {LIMIT} seconds to build; make it smaller"]]
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{PROGRAM} ended with code {error.returncode}:\n{error.stderr}") from error
    return _read(done.stdout)


def _read(lines: str | bytes | None) -> Answers:
    text = lines.decode() if isinstance(lines, bytes) else lines or ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("]")]


def check_trials(plan: Plan, project: Path, answer: Callable[[Sequence[Trial]], Answers] = in_a_process) -> None:
    """Raise `UserError` or `UserErrors` for networks that cannot be built, frozen, fed or looked into as asked.

    Without torch, which a machine that only plans may lack, nothing is tried.
    """
    asked: dict[str, tuple[Trial, list[Experiment]]] = {}
    for e in plan.experiments:
        trial = trial_of(e, plan.settings.weights)
        asked.setdefault(trial.digest, (trial, []))[1].append(e)
    known = {*_listed(project / KNOWN), *_listed(PASSED)}
    new = [asked[digest] for digest in asked if digest not in known]
    if not new or find_spec("torch") is None:
        return
    mistakes = Mistakes()
    for (_, experiments), wrong in zip(new, answer([trial for trial, _ in new]), strict=False):
        for e in experiments if wrong else ():
            with mistakes.caught():
                raise located(e, UserErrors(wrong) if len(wrong) > 1 else UserError(wrong[0]))
    mistakes.refuse()


def save_trials(plan: Plan, project: Path) -> None:
    """Save that every network of a plan has passed."""
    passed = digests(plan) - {*_listed(project / KNOWN)}
    if not passed <= {*_listed(PASSED)}:
        write_text(PASSED, json.dumps(sorted(passed | {*_listed(PASSED)})))


def digests(plan: Plan) -> set[str]:
    """All networks of a plan, and what is asked of them."""
    return {trial_of(e, plan.settings.weights).digest for e in plan.experiments}


def _listed(path: Path) -> list[str]:
    try:
        listed = read_json(path)
    except (OSError, ValueError):  # nothing saved yet, or damaged
        return []
    return listed if isinstance(listed, list) else []


def presets(project: Path) -> Iterable[Plan]:
    """The plans of the project's own presets."""
    for path in sorted((project / PRESETS).glob("*.yaml")):
        yield load_plan(project, {"preset": path.stem})


def main() -> None:
    """Try the networks of the project's own presets, and list them; raises `UserError` for one that fails."""
    project, found = Path(), set[str]()
    KNOWN.unlink(missing_ok=True)  # so that all are tried
    for plan in presets(project):
        check_trials(plan, project)
        found |= digests(plan)
    write_json(KNOWN, sorted(found))


if __name__ == "__main__":
    run_main(main)
