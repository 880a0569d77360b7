"""Who is told of a run's history while it trains: TensorBoard always, others when they are asked for.

None needs an account or a network: Weights & Biases writes offline runs (`wandb sync` sends them later) and
MLflow a local database, unless the variables of these tools in a person's own environment say otherwise. No key is ever
read or written here.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from florilegium.core.fingerprint import canonical, short_hash
from florilegium.core.progress import say
from florilegium.core.trackers import asked_for
from florilegium.training import parallel
from florilegium.training.events import Events, tag_of
from florilegium.training.job import Job
from florilegium.training.selection import Row

PROJECT = "florilegium"
LOGS = Path("logs")


class Tracker(Protocol):
    """Shows a run somewhere. Given the whole history after each epoch, it adds what it has not shown yet."""

    def __call__(self, history: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class Trackers:
    """Several trackers as one. One that fails is told of and left out: no training ends for a picture of it."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = list(trackers)

    def __call__(self, history: Sequence[Row]) -> None:
        self._tell(lambda tracker: tracker(history))

    def close(self) -> None:
        self._tell(lambda tracker: tracker.close())

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        for tracker in [*self.trackers]:
            try:
                what(tracker)
            except Exception as error:  # whatever a foreign package may raise
                self.trackers.remove(tracker)
                say(f"{type(tracker).__name__} fails and is left out of this run: {error}")


def trackers_of(job: Job, seed: int) -> Trackers | None:
    """Those of a run; None in the helpers of a training in several processes, of which one tells."""
    if parallel.rank():
        return None
    name = f"{'/'.join(job.out.parts[-4:])}/seed{seed}"  # preset/study/experiment/arm/seed
    found: list[Tracker] = [] if job.tensorboard is None else [Events(job.tensorboard / f"seed{seed}")]
    found += [FOREIGN[tracker](name, job.spec) for tracker in asked_for()]
    return Trackers(found)


def values_of(row: Row) -> dict[str, float]:
    """What is shown of an epoch, under TensorBoard's names."""
    return {tag_of(key): value for key, value in row.items() if key != "epoch" and value is not None}


class WeightsAndBiases:
    """An offline run below `logs/wandb`; one that is taken up again keeps its identity."""

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        self.name, self.spec, self.written, self.run = name, spec, 0, None

    def __call__(self, history: Sequence[Row]) -> None:
        if self.run is None:
            os.environ.setdefault("WANDB_MODE", "offline")
            import wandb

            LOGS.mkdir(exist_ok=True)
            self.run = wandb.init(
                project=PROJECT,
                name=self.name,
                id=short_hash(self.name),
                resume="allow",
                dir=str(LOGS),
                config=dict(self.spec),
                settings=wandb.Settings(console="off", silent=True),
            )
        for row in history[self.written :]:
            self.run.log(values_of(row), step=row["epoch"])
        self.written = len(history)

    def close(self) -> None:
        if self.run is not None:
            self.run.finish()


class MLflow:
    """A run in the database `logs/mlflow.db`, with its spec as a tag."""

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        self.name, self.spec, self.written, self.module = name, spec, 0, None

    def __call__(self, history: Sequence[Row]) -> None:
        if self.module is None:
            LOGS.mkdir(exist_ok=True)
            os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{(LOGS / 'mlflow.db').as_posix()}")
            import mlflow

            mlflow.set_experiment(PROJECT)
            mlflow.start_run(run_name=self.name)
            mlflow.set_tag("spec", canonical(self.spec))
            self.module = mlflow
        for row in history[self.written :]:
            self.module.log_metrics(values_of(row), step=row["epoch"])
        self.written = len(history)

    def close(self) -> None:
        if self.module is not None:
            self.module.end_run()


FOREIGN: dict[str, Callable[[str, Mapping[str, Any]], Tracker]] = {
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
