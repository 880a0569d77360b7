"""What the stages that train share: their arguments, and how the processes of a training are started."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from florilegium.training import parallel
from florilegium.training.job import Job
from florilegium.training.lease import leased
from florilegium.training.machine import pick_device


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", required=True, help="JSON with data, model, recipe and perhaps processes")
    parser.add_argument("--code", required=True, help="hash of the code, for the receipt and the state")
    parser.add_argument("--seeds", required=True, type=int, nargs="+")
    parser.add_argument("--init", help="first weights; {seed} stands for the run's seed")
    parser.add_argument("--out", required=True, type=Path, help="folder of the arm")
    parser.add_argument("--state", required=True, type=Path, help="folder for resumable state")
    parser.add_argument("--tensorboard", type=Path, help="folder for event files")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument(
        "--fastest-kernels",
        action="store_true",
        help="on a GPU: do not ask for kernels that repeat their bits",
    )


def run(
    arguments: argparse.Namespace,
    inputs: tuple[Path, ...],
    train: Callable[[Job, argparse.Namespace], None],
    **more: Any,
) -> None:
    """Call `train` in as many processes as the spec names, on devices that are leased for them.

    Args:
        arguments: those of `add_to`, and the stage's own.
        inputs: what all seeds read.
        more: fields of `Job` that only some trainings have.
    """
    spec = json.loads(arguments.spec)
    processes = spec.get("processes", 1)
    with leased(arguments.device, processes) as gpus:  # before pick_device, which asks CUDA
        job = Job(
            spec=spec,
            code=arguments.code,
            inputs=inputs,
            init=arguments.init,
            out=arguments.out,
            state=arguments.state,
            tensorboard=arguments.tensorboard,
            device=pick_device(arguments.device),
            deterministic=not arguments.fastest_kernels,
            gpus=gpus,
            **more,
        )
        parallel.run(processes, job.device, train, job, arguments)
