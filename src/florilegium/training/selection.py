"""Decisions from the history of a run: the best epoch, an early stop, a divergence. All are pure functions."""

import math
from collections.abc import Sequence
from typing import Any

from florilegium.config.training_recipe import TrainingRecipe

EXPLOSION = 10.0
Row = dict[str, Any]


def best_epoch(history: Sequence[Row], score: str) -> int:
    """The epoch (from 1) of the highest `score`; ties go to the lower `val_loss`, then to the earlier epoch."""

    def rank(row: Row) -> tuple[float, float, int]:
        loss = row.get("val_loss")
        return (-row[score], loss if loss is not None and math.isfinite(loss) else math.inf, row["epoch"])

    return min(map(rank, history))[2]


def stops_early(history: Sequence[Row], score: str, recipe: TrainingRecipe) -> bool:
    """True if the best epoch is as many epochs ago as the recipe's patience."""
    if recipe.early_stop is None or not history:
        return False
    best = lowest_loss(history) if recipe.early_stop_on == "val_loss" else best_epoch(history, score)
    return len(history) - best >= recipe.early_stop


def lowest_loss(history: Sequence[Row]) -> int:
    """The epoch (from 1) of the lowest `val_loss`; ties go to the earlier epoch; 1 if no loss is finite."""
    losses = [row["val_loss"] if math.isfinite(row["val_loss"]) else math.inf for row in history]
    return losses.index(min(losses)) + 1


def exploded(history: Sequence[Row]) -> bool:
    """True if the last training loss is more than ten times the first epoch's."""
    return history[-1]["train_loss"] > EXPLOSION * history[0]["train_loss"]
