"""Generators in training: their losses by other means, what they draw, and that they learn what can be learnt."""

import pytest
import torch
from diffusers import DDPMScheduler
from torch import nn
from torch.nn import functional as F

from florilegium.config.base import parse
from florilegium.config.data import Model
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import UserError
from florilegium.data.load import Splits
from florilegium.evaluation import cost
from florilegium.generation.diffusion import NoiseError, noise_error
from florilegium.generation.sheets import to_pixels
from florilegium.models import registry
from florilegium.models.generators import own_input
from florilegium.training import state as saving
from florilegium.training.generation import Duel, check_classes, task_of
from florilegium.training.loop import fit
from florilegium.training.state import StateFolder
from tests.helpers.training import CPU, images, same_bits

UNET = Model(
    name="diffusion_unet",
    arguments={"image_size": 8, "channels": [8, 16], "layers_per_block": 1, "attention": [1], "groups": 4},
)
ACGAN = Model(name="acgan", arguments={"image_size": 8, "width": 8, "latent": 6})


def recipe(**changes: object) -> GenerationRecipe:
    keys = {"epochs": 2, "batch_size": 8, "lr": 0.002, "optimizer": "adamw", "timesteps": 50}
    return GenerationRecipe.model_validate(keys | changes)


def network(model: Model = UNET) -> nn.Module:
    torch.manual_seed(0)
    return registry.build(model, 3)


def train(folder, model: Model = UNET, **changes: object):
    how, net = recipe(**changes), network(model)
    data = Splits(images(24), images(8, seed=1), images(8, seed=2), ("a", "b", "c"))
    with StateFolder(folder / "seed0", "same") as state:
        task = task_of(net, data, how, own_input(model)[0], 0, CPU)
        return fit(net, task, how, seed=0, device=CPU, state=state), task


def prepared(how: GenerationRecipe, count: int = 400):
    some = images(count)
    torch.manual_seed(1)
    objective = NoiseError(network(), how, own_input(UNET)[0])
    return objective, objective.prepare((some.pixels, some.labels)), some


def test_noise_is_added_as_the_closed_form_says():
    """x_t = sqrt(prod(1 - beta)) x_0 + sqrt(1 - prod(1 - beta)) e, with beta linear."""
    how = recipe(timesteps=50, beta_start=0.01, beta_end=0.05)
    _, batch, some = prepared(how, 8)
    kept = torch.cumprod(1 - torch.linspace(0.01, 0.05, 50), 0)[batch.steps].view(-1, 1, 1, 1)
    clean = some.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    expected = kept.sqrt() * clean + (1 - kept).sqrt() * batch.target
    torch.testing.assert_close(batch.images, expected, atol=1e-5, rtol=0)


def test_the_class_is_hidden_from_single_images_or_from_whole_batches():
    _, batch, some = prepared(recipe(label_dropout=0.3))
    hidden = batch.labels == 3
    assert 0.2 < hidden.float().mean() < 0.4
    assert torch.equal(batch.labels[~hidden], some.labels[~hidden])
    shares = set()
    for seed in range(12):
        how = recipe(label_dropout=0.3, label_dropout_by="batch")
        objective = NoiseError(network(), how, own_input(UNET)[0])
        torch.manual_seed(seed)
        shares.add((objective.prepare((some.pixels, some.labels)).labels == 3).float().mean().item())
    assert shares == {0.0, 1.0}


def test_the_loss_is_the_squared_error_and_the_study_summed_it():
    objective, batch, _ = prepared(recipe(), 8)
    zero = lambda images, steps, labels: torch.zeros_like(images)  # noqa: E731
    expected = batch.target.square().mean()
    loss, sums = objective.loss(zero, batch, slice(0, 8))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(sums, expected[None] * 8)
    objective, batch, _ = prepared(recipe(loss="sum_by_squared_batch"), 8)
    loss, _ = objective.loss(zero, batch, slice(0, 8))
    torch.testing.assert_close(loss, batch.target.square().sum() / 8**2)


def test_a_perfect_guess_of_the_noise_has_no_error():
    how = recipe()
    schedule = DDPMScheduler(num_train_timesteps=50, beta_start=how.beta_start, beta_end=how.beta_end)
    some = images(8)
    clean = some.pixels.permute(0, 3, 1, 2).float() / 127.5 - 1

    class Perfect(nn.Module):
        def forward(self, noisy, steps, labels):
            kept = schedule.alphas_cumprod[steps].view(-1, 1, 1, 1)
            return (noisy - kept.sqrt() * clean) / (1 - kept).sqrt()

    assert noise_error(Perfect(), some, how, own_input(UNET)[0], CPU) < 1e-6


def test_the_generator_is_not_taught_by_the_critics_share_nor_the_critic_by_the_generators():
    net = network(ACGAN).train()
    how = recipe()
    some = images(8)
    torch.manual_seed(0)
    objective = Duel(net, how, own_input(ACGAN)[0])
    batch = objective.prepare((some.pixels, some.labels))
    (real, of_real), (false, of_made), (judged, named) = net(batch.images, batch.noise, batch.wanted)
    critic = F.relu(1 - real).mean() + F.relu(1 + false).mean()
    critic = critic + F.cross_entropy(of_real, batch.labels) + F.cross_entropy(of_made, batch.wanted)
    generator = -judged.mean() + F.cross_entropy(named, batch.wanted)
    of_generator, of_critic = list(net.generator.parameters()), list(net.critic.parameters())
    assert all(g is None for g in torch.autograd.grad(critic, of_generator, allow_unused=True, retain_graph=True))
    assert all(g is None for g in torch.autograd.grad(generator, of_critic, allow_unused=True, retain_graph=True))
    assert all(g is not None for g in torch.autograd.grad(critic, of_critic, retain_graph=True))
    assert all(g is not None for g in torch.autograd.grad(generator, of_generator, allow_unused=True))


@pytest.mark.parametrize("model", [UNET, ACGAN], ids=lambda m: m.name)
def test_a_generator_trains_and_an_interrupted_one_ends_in_the_same_bits(tmp_path, model, monkeypatch):
    whole, task = train(tmp_path / "whole", model, epochs=3)
    assert len(whole.history) == 3 and set(whole.history[0]) == set(task.columns)
    monkeypatch.setattr(saving, "SAVE_SHARE", 1e9)  # save after every epoch
    train(tmp_path / "cut", model, epochs=1)
    resumed, _ = train(tmp_path / "cut", model, epochs=3)
    assert resumed.resumed_from == 3
    assert same_bits(whole.last_state, resumed.last_state)


def test_a_diffusion_learns_what_can_be_learnt(tmp_path):
    outcome, _ = train(tmp_path, epochs=25, lr=0.01)
    assert outcome.history[-1]["val_loss"] < 0.8 * outcome.history[0]["val_loss"]


def test_pixels_are_those_that_the_network_saw():
    pixels = images(4).pixels
    seen = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.equal(to_pixels(seen), pixels)


def test_what_a_forward_pass_costs_is_counted():
    found = cost.size(network(), 8, 8)
    assert found["params"] == sum(p.numel() for p in network().parameters())
    assert found["macs"] > 8 * 8 * 3 * 8 * 9  # the first convolution alone
    assert cost.size(network(ACGAN), 8, 8)["macs"] > 0


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"select": "best"}, "a generator has no score"),
        ({"early_stop": 1}, "early_stop"),
        ({"beta_start": 0.5, "beta_end": 0.1}, "beta_start: 0.5 is above beta_end = 0.1"),
    ],
)
def test_recipes_that_no_generator_can_follow(keys, said):
    with pytest.raises(UserError, match=said):
        parse(GenerationRecipe, {"epochs": 3} | keys, "recipe")


def test_an_argument_that_the_network_does_not_take():
    with pytest.raises(UserError, match=r"unknown argument 'widht', did you mean 'width'"):
        registry.build(Model(name="acgan", arguments={"widht": 3}), 3)
    with pytest.raises(UserError, match=r"image_size = 24"):
        registry.build(Model(name="acgan", arguments={"image_size": 24}), 3)


def test_a_class_without_images_is_told_before_anything_is_trained():
    data = Splits(images(24), None, images(8, seed=2), ("a", "b", "c", "d"))
    with pytest.raises(UserError, match=r"data: class 'd' has no image left to train on, .* by data\.clean"):
        check_classes(data)
