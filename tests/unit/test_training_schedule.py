"""Learning rates against values worked out by hand."""

import pytest

from florilegium.core.recipe import Recipe
from florilegium.training.schedule import lr_at, plateau_factor


def rates(steps_per_epoch: int, **keys: object) -> list[float]:
    recipe = Recipe.model_validate({"lr": 1.0} | keys)
    return [lr_at(recipe, step, steps_per_epoch) for step in range(recipe.epochs * steps_per_epoch)]


def test_constant():
    assert rates(2, epochs=2) == [1.0] * 4


def test_warm_up_rises_in_a_line_from_its_start_to_lr():
    found = rates(4, epochs=2, warmup_epochs=1.0, warmup_start=0.2)
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1])


def test_half_an_epoch_of_warm_up_is_half_its_steps():
    assert rates(4, epochs=1, warmup_epochs=0.5) == pytest.approx([0, 0.5, 1, 1])


def test_step_falls_after_each_milestone():
    found = rates(2, epochs=4, schedule="step", milestones=[1.0, 2.5], gamma=0.5)
    assert found == pytest.approx([1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25])


def test_cosine_without_warm_up_is_half_a_period():
    found = rates(1, epochs=4, schedule="cosine")
    assert found == pytest.approx([1, 0.5 + 2**0.5 / 4, 0.5, 0.5 - 2**0.5 / 4])


def test_cosine_begins_where_the_warm_up_ends_and_aims_at_final_lr():
    found = rates(1, epochs=6, schedule="cosine", warmup_epochs=2.0, final_lr=0.2)
    assert found[:3] == pytest.approx([0, 0.5, 1])
    assert found[4] == pytest.approx(0.6)  # half of the way from 1 to 0.2


def test_the_tail_is_a_line_from_the_rate_that_it_finds_to_zero():
    found = rates(2, epochs=4, schedule="cosine", tail_epochs=2.0)
    assert found[:4] == pytest.approx(rates(2, epochs=4, schedule="cosine")[:4])
    assert found[4:] == pytest.approx([0.5, 0.375, 0.25, 0.125])


def test_the_tail_of_a_constant_rate():
    assert rates(1, epochs=4, tail_epochs=3.0) == pytest.approx([1, 1, 2 / 3, 1 / 3])


def test_plateau_falls_once_patience_is_exceeded_and_waits_again():
    recipe = Recipe(epochs=20, schedule="plateau", plateau_patience=1, gamma=0.5)
    losses = [3.0, 2.0, 2.0, 2.5, 2.1, 2.1, 1.0]
    factors = [plateau_factor(recipe, losses[:n]) for n in range(len(losses) + 1)]
    assert factors == [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_plateau_agrees_with_torch():
    import torch

    losses = [1.0, 0.9, 0.95, 0.91, 0.92, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=2, threshold=0)
    recipe = Recipe(epochs=20, schedule="plateau", plateau_patience=2)
    for n, loss in enumerate(losses, start=1):
        reference.step(loss)
        assert plateau_factor(recipe, losses[:n]) == pytest.approx(optimizer.param_groups[0]["lr"])
