"""A run, from a job and a seed to the files of its folder, whatever its task.

It is made under a lock and kept until the workflow has recorded it; a run that was finished before is taken over.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn

from florilegium.config.base import Strict
from florilegium.config.data import Model
from florilegium.config.recipes import FROM_FINDER, TrainingRecipe
from florilegium.core.errors import UserError
from florilegium.core.files import noted_digest, read_json, write_json
from florilegium.core.fingerprint import canonical, short_hash
from florilegium.core.outputs import FEATURES, RECEIPT
from florilegium.core.receipts import keep, take_over, withdraw, write_receipt
from florilegium.core.system import orphaned, say
from florilegium.core.tables import write_frame
from florilegium.data.augment import InputConfig
from florilegium.evaluation import cost
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.models.weights import load_into, save
from florilegium.training import parallel
from florilegium.training.loop import Outcome, fit
from florilegium.training.machine import derive, device_name, guarantee, pick_precision
from florilegium.training.state import StateFolder, Weights
from florilegium.training.task import Task
from florilegium.training.trackers import trackers_of

Data = TypeVar("Data", bound=Strict)
R = TypeVar("R", bound=TrainingRecipe)
T = TypeVar("T")


class Splits(Protocol):
    """The images of an experiment, with boxes or without."""

    @property
    def train(self) -> Sized: ...
    @property
    def test(self) -> Sized: ...
    @property
    def classes(self) -> Sequence[str]: ...


S = TypeVar("S", bound=Splits)

# Jobs


@dataclass(frozen=True)
class SeedPaths:
    """Files and folders of one seed of a job; None for what it does not read or write."""

    init: Path | None
    features: Path | None
    generated: Path | None
    finder: Path | None
    out: Path
    state: Path
    tensorboard: Path | None
    inputs: tuple[Path, ...]
    """Every file that the run of this seed is made from."""


@dataclass(frozen=True)
class Job(Generic[Data, R]):
    """An experiment's arm, where its inputs lie, and where its runs are written.

    Paths that are text are templates: `{seed}` in them stands for the run's seed.
    """

    spec: Mapping[str, Any]
    """As the workflow gave it, for receipts and fingerprints; `data`, `model` and `recipe` are its parts."""
    data: Data
    model: Model
    recipe: R
    code: str
    inputs: tuple[Path, ...]
    """Files that every seed reads."""
    init: str | None
    """First weights."""
    out: Path
    state: Path
    tensorboard: Path | None
    device: torch.device
    deterministic: bool = True
    """True where a GPU was asked for kernels that repeat their bits."""
    gpus: tuple[str, ...] = ()
    """The devices that it leased, as CUDA_VISIBLE_DEVICES names them."""
    features: str | None = None
    """Folder of cached features, in place of images."""
    generated: str | None = None
    """File of generated images beside the real ones."""
    finder: str | None = None
    """File with the suggestion of a learning-rate finder, `finder.json`."""

    def at(self, seed: int) -> SeedPaths:
        """The paths of `seed`."""

        def path(template: str | None) -> Path | None:
            return None if template is None else Path(template.replace("{seed}", str(seed)))

        init, features, generated, finder = map(path, (self.init, self.features, self.generated, self.finder))
        inputs = list(self.inputs)
        inputs += [features / name for name in FEATURES] if features else []
        inputs += [generated, generated.with_suffix(".csv")] if generated else []
        inputs += [single for single in (init, finder) if single]
        name = f"seed{seed}"
        events = self.tensorboard and self.tensorboard / name
        return SeedPaths(init, features, generated, finder, self.out / name, self.state / name, events, tuple(inputs))

    def recipe_at(self, seed: int) -> R:
        """The recipe of `seed`, with the precision that the device decides and the rate that a finder suggests.

        Raises:
            UserError: the rate is a finder's, and there is none.
        """
        values: dict[str, Any] = {"precision": pick_precision(self.recipe.precision, self.device)}
        if self.recipe.lr == FROM_FINDER:
            finder = self.at(seed).finder
            if finder is None:
                raise UserError(f"--finder: recipe.lr is {FROM_FINDER}, so give the finder.json to take it from")
            values["lr"] = float(read_json(finder)["suggestion"])
        return self.recipe.model_copy(update=values)

    def fingerprint(self, seed: int) -> str:
        """A hash of all that a saved state must agree in: spec, code, the bytes of every input, and seed."""
        inputs = [_digest(path) for path in self.at(seed).inputs]
        return short_hash(canonical([self.spec, self.code, inputs, seed]))


_digest = lru_cache(maxsize=None)(noted_digest)


def initialise_network(
    job: Job[Any, Any],
    recipe: TrainingRecipe,
    n_classes: int,
    seed: int,
    *,
    load: Callable[..., None] = load_into,
    **regularisation: float,
) -> nn.Module:
    """The network of `job` with random weights of `seed`, then the weights of `init`, copied by `load`, then frozen."""
    torch.manual_seed(derive(seed, "weights"))
    network = registry.build(job.model, n_classes, **regularisation)
    init = job.at(seed).init
    if init is not None:
        allowed = {"allow_missing": recipe.allow_missing, "allow_unexpected": recipe.allow_unexpected}
        load(network, init, **allowed, adapt=registry.adapter(job.model), new_head=True)
    freeze(network, recipe)
    return network


# Runs


@dataclass(frozen=True)
class Result:
    """The scores of a trained network on the test images."""

    metrics: Mapping[str, Any]
    weights: Weights
    """Those of the checkpoint: of the whole network, selected."""
    seconds: float


@dataclass(frozen=True)
class Training:
    """The part of a run that depends on its task."""

    network: nn.Module
    """With its first weights."""
    learner: nn.Module
    """The part of `network` that trains: all of it, or its heads, on features."""
    task: Task
    input: InputConfig
    sides: tuple[int, int]
    """Height and width of an image for the cost of a forward pass: the largest in landscape format."""
    labels: Tensor
    """Of all that is trained on, (N,)."""
    test: Callable[[Outcome, Path], Result]
    """Tests the network, and writes its predictions into the run's folder."""
    files: Sequence[str]
    """Names of all files of the run's folder but the receipt."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further values for the receipt."""


def train_run(
    job: Job[Data, R], splits: S, seed: int, training_of: Callable[[Job[Data, R], S, R, int], Training]
) -> None:
    """Make the run of `seed`, or take it over where it was finished before. Helpers only train.

    Args:
        training_of: the function of that name in the module of the task.

    Raises:
        UserError: see `fit` and `training_of`; or another process is at work on this run.
    """
    paths = job.at(seed)
    with StateFolder(paths.state, job.fingerprint(seed)) as state:
        first = not parallel.rank()
        if parallel.agreed(first and take_over(paths.out, state.folder, state.fingerprint)):
            say(f"{job.out}, seed {seed}: was finished before, and is taken over")
            if first:
                state.clear_finished()  # its process may have been killed before it did so
            return
        started = time.time()
        say(f"{job.out}, seed {seed}: {len(splits.train)} images to train on, {len(splits.test)} to test on")
        recipe = job.recipe_at(seed)
        training = training_of(job, splits, recipe, seed)
        name = "/".join((*job.out.parts[-4:], paths.out.name))  # preset/study/experiment/arm/seed
        trackers = trackers_of(name, job.spec, paths.tensorboard) if first else None
        outcome = fit(
            training.learner, training.task, recipe, seed=seed, device=job.device, state=state, on_epoch=trackers
        )
        if not first:
            return
        if trackers:
            trackers.close()
        _write_run(job, splits, seed, recipe, training, outcome, started)
        keep(paths.out, (*training.files, RECEIPT), state.folder, state.fingerprint)
        state.clear()
        if orphaned():
            withdraw(paths.out, state.folder)
            say("the workflow that started this training is gone; the next one takes the result over")


def _write_run(
    job: Job[Any, Any],
    splits: Splits,
    seed: int,
    recipe: TrainingRecipe,
    training: Training,
    outcome: Outcome,
    started: float,
) -> None:
    """Test the network and write the files of the run's folder; the receipt comes last."""
    folder = job.at(seed).out
    result = training.test(outcome, folder)
    checkpoint = folder / "checkpoint.safetensors"
    save(result.weights, checkpoint)
    size = cost.size(training.network, *training.sides) | {"checkpoint_bytes": checkpoint.stat().st_size}
    course = {
        "epochs": len(outcome.history),
        "best_epoch": outcome.best_epoch,
        "diverged": outcome.diverged,
        "diverged_epoch": outcome.diverged_epoch,
        "last_finite_loss": outcome.last_finite_loss,
    }
    write_json(folder / "metrics.json", dict(result.metrics) | course | size)
    write_frame(folder / "history.csv", pd.DataFrame(outcome.history, columns=list(training.task.columns)))
    write_json(folder / "cost.json", costs(outcome, result.seconds, recipe, job.device))
    write_receipt(
        folder / RECEIPT,
        stage="train",
        spec=job.spec,
        code=job.code,
        inputs=job.at(seed).inputs,
        outputs=[folder / name for name in training.files],
        started=started,
        seed=seed,
        device=device_name(job.device),
        determinism=guarantee(job.device, job.deterministic),
        gpus=list(job.gpus),
        resumed_from=outcome.resumed_from,
        model=job.model.model_dump(mode="json"),
        classes=list(splits.classes),
        input=asdict(training.input),
        warnings=warnings(outcome, recipe, splits.classes, training.labels),
        **training.facts,
    )


# Results


def score_weights(network: nn.Module, outcome: Outcome, score: Callable[[], T]) -> tuple[T, T]:
    """The scores of the selected and of the last weights, which may be the same; `network` keeps the selected ones."""
    network.load_state_dict(outcome.last_state)
    last = selected = score()
    if not outcome.selected_is_last:
        network.load_state_dict(outcome.selected_state)
        selected = score()
    return selected, last


def costs(outcome: Outcome, seconds_evaluation: float, recipe: TrainingRecipe, device: torch.device) -> dict[str, Any]:
    """Time and memory of a run, resumed or not: epochs, validation and the tests at the end."""
    training = sum(outcome.seconds_per_epoch)
    return {
        "device": device_name(device),
        "precision": recipe.precision,
        "threads": recipe.threads,
        "seconds_total": training + outcome.seconds_validation + seconds_evaluation,
        "seconds_per_epoch": training / max(1, len(outcome.seconds_per_epoch)),
        "seconds_validation": outcome.seconds_validation,
        "seconds_evaluation": seconds_evaluation,
        "train_images_per_second": outcome.images_per_second,
        "peak_memory_bytes": cost.peak_memory_bytes(device),
    }


def warnings(outcome: Outcome, recipe: TrainingRecipe, classes: Sequence[str], labels: Tensor) -> list[str]:
    """Sentences that a reader of the metrics should know; `labels` (N,) are those of all training images."""
    sentences = [
        f"training diverged in epoch {epoch} and went on from the end of epoch {epoch - 1} at "
        f"{recipe.restart_factor:g} times the rate"
        for epoch in outcome.restarts
    ]
    if outcome.micro_batch < (planned := recipe.batch_size // recipe.accumulate):
        sentences.append(
            f"memory ran out: micro-batches of {outcome.micro_batch} images in place of {planned}, which "
            "batch normalisation took its statistics from"
        )
    if outcome.diverged:
        sentences.append(f"training diverged in epoch {outcome.diverged_epoch}")
    averaged_from = recipe.averaged_from()
    if averaged_from is not None and len(outcome.history) <= averaged_from:
        sentences.append(f"ended in epoch {len(outcome.history)}, before weights were averaged")
    trained = set(labels.tolist())
    return sentences + [f"no training image shows '{name}'" for i, name in enumerate(classes) if i not in trained]


def finite(value: float | None) -> float | None:
    """`value`, or None for an infinite or undefined loss, for which JSON has no number."""
    return value if value is not None and math.isfinite(value) else None
