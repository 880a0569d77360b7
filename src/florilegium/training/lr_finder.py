"""The learning-rate range test: a rate a step, from far too low to far too high, rising exponentially (Smith 2017,
"Cyclical Learning Rates for Training Neural Networks", section 3.3).

Where the loss falls fastest, the rate is large enough to learn and small enough not to diverge.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from florilegium.config.recipes import TrainingRecipe
from florilegium.core.errors import UserError
from florilegium.core.system import bar
from florilegium.models.freeze import train_mode
from florilegium.training.learner import Learner
from florilegium.training.loop import step_that_fits
from florilegium.training.machine import derive
from florilegium.training.task import Task

SHARE = 0.1  # of the test's steps: the start, which is ignored, and the span of the moving average
BLOW_UP = 4.0  # times the lowest smoothed loss: there the test ends
WINDOW = 0.2  # of the test's steps: length of the straight lines that are fitted to the smoothed loss
LEAST_FALL = 0.01  # of the loss; a smaller fall counts as noise


def range_test(
    network: nn.Module, task: Task, recipe: TrainingRecipe, *, seed: int, device: torch.device
) -> pd.DataFrame:
    """Train `network` for at most `recipe.finder_steps` steps on batches in their usual order, which ruins it.

    Returns:
        A row a step: `step, lr, loss, smoothed`; the last one may be of a loss that blew up.
    """
    lowest, highest = recipe.finder_rates
    learner = Learner(network, recipe, task.objective, device)
    train_mode(learner.network)
    rates = exponential(lowest, highest, recipe.finder_steps)
    losses: list[float] = []
    every = itertools.chain.from_iterable(map(task.batches, itertools.count()))
    for step, index in bar(list(zip(range(len(rates)), every, strict=False)), "finder", "step"):
        tally = step_that_fits(learner, task, index, rates[step], (derive(seed, "finder"), 0, step))
        losses.append(float(tally[0]) / len(index))
        means = smoothed(losses, len(rates))
        blown_up = len(means) > SHARE * len(rates) and means[-1] > BLOW_UP * min(means)
        if blown_up or not math.isfinite(losses[-1]):
            break
    done = len(losses)
    return pd.DataFrame({"step": range(1, done + 1), "lr": rates[:done], "loss": losses, "smoothed": means})


def exponential(lowest: float, highest: float, steps: int) -> list[float]:
    """`steps` rates from `lowest` to `highest`, each the same multiple of the one before."""
    return [lowest * (highest / lowest) ** (step / (steps - 1)) for step in range(steps)]


def smoothed(losses: Sequence[float], steps: int) -> list[float]:
    """The exponential moving average over about a tenth of `steps`, corrected for its start at zero."""
    decay = 1 - 1 / (SHARE * steps)
    mean, means = 0.0, []
    for number, loss in enumerate(losses, start=1):
        mean = decay * mean + (1 - decay) * loss
        means.append(mean / (1 - decay**number))
    return means


def suggest(table: pd.DataFrame, recipe: TrainingRecipe) -> float:
    """The rate at which the smoothed loss falls fastest, between the test's start and its lowest loss.

    Raises:
        UserError: the loss never fell, so that there is no suggestion.
    """
    start = round(SHARE * recipe.finder_steps)
    means = np.asarray(table["smoothed"], dtype=np.float64)
    means = means[np.isfinite(means)][start:]  # (n,)
    if len(means) < 2 or means.min() > (1 - LEAST_FALL) * means[0]:
        low, high = recipe.finder_rates
        raise UserError(
            f"recipe.lr = from_finder: the loss never fell between the rates {low:g} and {high:g} in "
            f"{len(table)} steps; widen recipe.finder_rates, raise recipe.finder_steps, or give lr a number"
        )
    return float(f"{table['lr'].iloc[start + steepest(means, round(WINDOW * recipe.finder_steps))]:.4g}")


def steepest(means: NDArray[np.float64], window: int) -> int:
    """The middle of the `window` steps, before the lowest of `means`, whose least-squares line falls most.

    A single step's loss is mostly noise, so that the slope between neighbours says little.
    """
    falling = means[: int(means.argmin()) + 1]  # two values at least
    width = min(window, len(falling))
    time = np.arange(width) - (width - 1) / 2
    slopes = np.lib.stride_tricks.sliding_window_view(falling, width) @ time  # (n,), up to a factor
    return int(slopes.argmin()) + width // 2
