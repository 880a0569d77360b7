"""Learning rates against values worked out by hand."""

import pytest

from florilegium.config.recipes import Recipe
from florilegium.training.learner import lr_at, plateau_factor, rate


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


def torch_rates(build, steps: int) -> list[float]:
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = build(torch.optim.lr_scheduler, optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(("epochs", "steps"), [(1, 1), (1, 7), (5, 1), (3, 10)])
def test_cosine_agrees_with_torch_to_its_very_end(epochs, steps):
    recipe = Recipe(epochs=epochs, lr=1.0, schedule="cosine", final_lr=0.1)
    found = [lr_at(recipe, step, steps) for step in range(epochs * steps + 1)]
    expected = torch_rates(
        lambda known, optimizer: known.CosineAnnealingLR(optimizer, epochs * steps, eta_min=0.1), len(found)
    )
    assert found == pytest.approx(expected)
    assert found[-1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("milestones", "steps"),
    [([1.0, 2.5], 4), ([1.1, 2.2], 10), ([0.3, 0.7], 100), ([1.15, 2.3], 20), ([0.07, 0.14], 100)],
)
def test_milestones_agree_with_torch_where_they_are_whole_steps(milestones, steps):
    recipe = Recipe(epochs=3, lr=1.0, schedule="step", milestones=milestones)
    found = [lr_at(recipe, step, steps) for step in range(3 * steps + 1)]
    at = [round(milestone * steps) for milestone in milestones]
    assert found == pytest.approx(torch_rates(lambda known, optimizer: known.MultiStepLR(optimizer, at), len(found)))


@pytest.mark.parametrize(("warmup", "steps"), [(1.0, 8), (0.5, 8), (2.0, 3), (0.29, 100)])
def test_the_warm_up_agrees_with_torch(warmup, steps):
    recipe = Recipe(epochs=2, lr=1.0, warmup_epochs=warmup, warmup_start=0.2)
    found = [lr_at(recipe, step, steps) for step in range(2 * steps + 1)]
    expected = torch_rates(
        lambda known, optimizer: known.LinearLR(optimizer, 0.2, total_iters=round(warmup * steps)), len(found)
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(
    ("epochs", "warmup", "tail"),
    [(1, 0, 0), (1, 1, 0), (1, 0, 1), (1, 0.5, 0.5), (3, 3, 0), (3, 0, 3), (3, 1, 2), (3, 1.7, 1.3), (3, 0, 0.01)],
)
def test_every_schedule_is_whole_at_both_ends(schedule, steps, epochs, warmup, tail):
    """No rate is above lr or below zero, and where a run is over, the rate is that of its end: zero where
    a tail leads, or a cosine."""
    recipe = Recipe(
        epochs=epochs,
        lr=1.0,
        schedule=schedule,
        milestones=[epochs / 2] if schedule == "step" else [],
        warmup_epochs=float(warmup),
        warmup_start=0.5,
        tail_epochs=float(tail),
    )
    total = epochs * steps
    found = [lr_at(recipe, step, steps) for step in range(total + 3)]
    assert all(0 <= rate <= 1 for rate in found) and found[0] in (0.5, 1.0)
    to_zero = schedule == "cosine" or tail * steps >= 0.5
    last = 0.0 if to_zero else 0.1 if schedule == "step" else 1.0
    assert found[total:] == pytest.approx([last] * 3)


def test_a_warm_up_that_ends_where_the_tail_begins_reaches_lr():
    """Also where half an epoch is half a step more than a whole number of them."""
    for steps in (3, 5, 7, 9):
        recipe = Recipe(epochs=1, lr=1.0, warmup_epochs=0.5, tail_epochs=0.5)
        assert max(lr_at(recipe, step, steps) for step in range(steps)) == 1.0


def test_averaging_may_begin_with_the_first_step_and_anneals_like_torch():
    import torch

    recipe = Recipe(epochs=3, lr=1.0, select="last", swa_start=0.0, swa_lr=0.2, swa_anneal_epochs=2)
    found = [rate(recipe, step, 1, []) for step in range(4)]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    reference = torch.optim.swa_utils.SWALR(optimizer, 0.2, anneal_epochs=2)
    expected = []
    for _ in range(4):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    assert found == pytest.approx(expected)
