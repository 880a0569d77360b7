"""One run, from a spec and a seed to the files of its folder."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from florilegium.core.ancestry import orphaned
from florilegium.core.files import atomic, digest, write_json
from florilegium.core.fingerprint import canonical, short_hash
from florilegium.core.kept import keep, take_over, withdraw
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt
from florilegium.core.recipe import Recipe
from florilegium.core.spec import DataUse, Model
from florilegium.core.validate import parse
from florilegium.data.load import Splits
from florilegium.evaluation import cost
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.models.weights import load_into, save
from florilegium.training import parallel, results
from florilegium.training.events import Events
from florilegium.training.loop import fit
from florilegium.training.machine import pick_precision
from florilegium.training.seeding import derive
from florilegium.training.state import StateFolder

COLUMNS = ["epoch", "lr", "train_loss", "train_top1", "val_loss", "val_top1"]
FILES = ("metrics.json", "history.csv", "predictions.csv", "cost.json", "checkpoint.safetensors")


@dataclass(frozen=True)
class Job:
    """An experiment's arm, where its inputs lie, and where its runs are written."""

    spec: Mapping[str, Any]
    code: str
    inputs: tuple[Path, ...]
    init: str | None
    """Path of the first weights; `{seed}` in it is the run's seed."""
    out: Path
    state: Path
    tensorboard: Path | None
    device: torch.device
    gpus: tuple[str, ...] = ()
    """The devices that it leased, as CUDA_VISIBLE_DEVICES names them."""

    @property
    def use(self) -> DataUse:
        return parse(DataUse, self.spec["data"], "--spec data")

    @property
    def model(self) -> Model:
        return parse(Model, self.spec["model"], "--spec model")

    @property
    def recipe(self) -> Recipe:
        return parse(Recipe, self.spec["recipe"], "--spec recipe")

    def init_of(self, seed: int) -> Path | None:
        return None if self.init is None else Path(self.init.replace("{seed}", str(seed)))

    def out_of(self, seed: int) -> Path:
        return self.out / f"seed{seed}"

    def state_of(self, seed: int) -> Path:
        return self.state / f"seed{seed}"

    def inputs_of(self, seed: int) -> tuple[Path, ...]:
        init = self.init_of(seed)
        return self.inputs if init is None else (*self.inputs, init)

    def fingerprint(self, seed: int) -> str:
        """What a saved state must agree in: the spec, the code, the bytes of every input, and the seed."""
        inputs = [_digest(path) for path in self.inputs_of(seed)]
        return short_hash(canonical([self.spec, self.code, inputs, seed]))


def train_run(job: Job, splits: Splits, seed: int) -> None:
    """Make the run of `seed`, or take it over where it was finished before; helpers only train.

    Raises:
        UserError: see `fit`; or another process is at work on this run.
    """
    with StateFolder(job.state_of(seed), job.fingerprint(seed)) as state:
        first = not parallel.rank()
        if parallel.agreed(first and take_over(job.out_of(seed), state.folder, state.fingerprint)):
            say(f"{job.out}, seed {seed}: was finished before, and is taken over")
            return
        make_run(job, splits, seed, state)
        if first:
            keep(job.out_of(seed), (*FILES, "receipt.json"), state.folder, state.fingerprint)
            state.clear()
            if orphaned():
                withdraw(job.out_of(seed), state.folder)
                say("the workflow that started this training is gone; the next one takes the result over")


def make_run(job: Job, splits: Splits, seed: int, state: StateFolder) -> None:
    """Train, test and write; the receipt comes last."""
    started = time.time()
    model, asked = job.model, job.recipe
    recipe = asked.model_copy(update={"precision": pick_precision(asked.precision, job.device)})
    say(f"{job.out}, seed {seed}: {len(splits.train)} images to train on, {len(splits.test)} to test on")
    network = first_network(job, len(splits.classes), seed)
    config = registry.input_config(model, recipe)
    events = None if job.tensorboard is None or parallel.rank() else Events(job.tensorboard / f"seed{seed}")
    outcome = fit(
        network,
        splits,
        recipe,
        config,
        seed=seed,
        device=job.device,
        state=state,
        on_epoch=events,
    )
    if parallel.rank():
        return
    if events:
        events.close()
    tested = results.measure(network, outcome, splits, config, job.device)
    folder = job.out_of(seed)
    save(outcome.selected_state, folder / "checkpoint.safetensors")
    size = cost.size(network, config.size) | {
        "checkpoint_bytes": (folder / "checkpoint.safetensors").stat().st_size
    }
    write_json(folder / "metrics.json", results.metrics(outcome, tested, len(splits.test)) | size)
    write_table(folder / "history.csv", pd.DataFrame(outcome.history, columns=COLUMNS))
    write_table(folder / "predictions.csv", results.predictions(splits.test, tested.test, splits.classes))
    write_json(folder / "cost.json", results.costs(outcome, tested, recipe, job.device))
    write_receipt(
        folder / "receipt.json",
        stage="train",
        spec=job.spec,
        code=job.code,
        inputs=job.inputs_of(seed),
        outputs=[folder / name for name in FILES],
        started=started,
        seed=seed,
        device=results.device_name(job.device),
        gpus=list(job.gpus),
        resumed_from=outcome.resumed_from,
        classes=list(splits.classes),
        input=asdict(config),
        model=model.model_dump(mode="json"),
        warnings=results.warnings(outcome, recipe, splits),
    )


def first_network(job: Job, n_classes: int, seed: int) -> nn.Module:
    """The network before its first step: random weights of `seed`, then what `init` holds, then frozen."""
    recipe = job.recipe
    torch.manual_seed(derive(seed, "weights"))
    network = registry.build(job.model, n_classes, drop_path=recipe.drop_path, dropout=recipe.dropout)
    init = job.init_of(seed)
    if init is not None:
        load_into(network, init, allow_missing=recipe.allow_missing, allow_unexpected=recipe.allow_unexpected)
    freeze(network, recipe)
    return network


def write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


_digest = lru_cache(maxsize=None)(digest)
