"""The trackers beside TensorBoard that `config.yaml` may ask for.

They show a copy of a run's history and no result depends on them, so that their names reach a stage through
its environment and are part of no spec.
"""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Literal, get_args

from florilegium.core.errors import UserError

TrackerName = Literal["wandb"]
VARIABLE = "FLORILEGIUM_TRACKERS"


def check_installed(names: Iterable[TrackerName]) -> None:
    """Raise `UserError` for the first tracker whose package is not installed."""
    for name in names:
        if find_spec(name) is None:
            raise UserError(
                f"config.yaml: trackers: {name} is not installed; pip install {name}, or take it out"
            )


def ask_for(names: Iterable[TrackerName]) -> None:
    """Make the stages that this process starts use these trackers and no others."""
    os.environ[VARIABLE] = ",".join(names)


def asked_for() -> tuple[TrackerName, ...]:
    """The trackers that this stage is to use."""
    named = os.environ.get(VARIABLE, "").split(",")
    return tuple(name for name in get_args(TrackerName) if name in named)
