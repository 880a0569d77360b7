"""The steps of the reverse process: against diffusers, by an image that is known, and which are refused."""

from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler
from torch import nn

from florilegium.config.base import read_yaml
from florilegium.config.data import Model, Samples, Sampling
from florilegium.core.errors import UserError
from florilegium.generation.diffusion import denoise
from florilegium.models.checks import check_samples
from florilegium.plan.project import load_plan
from tests.training.test_generation import UNET, network, recipe

PROJECT = Path(__file__).resolve().parents[2]
SHAPE = (2, 3, 8, 8)
LABELS = torch.tensor([0, 1])


class Watching(nn.Module):
    """Knows the image behind the noise, so that its answer is right at each level of noise; keeps what it is given."""

    hidden_class = 3

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.kept = torch.cumprod(1 - torch.linspace(1e-4, 0.028, timesteps), 0)
        self.image = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
        self.noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        self.given: list[tuple[int, torch.Tensor]] = []

    def noised(self, step: int) -> torch.Tensor:
        """The image in its noise, as training showed it at this step (Ho et al. 2020, equation 4)."""
        return self.kept[step].sqrt() * self.image + (1 - self.kept[step]).sqrt() * self.noise

    def forward(self, images, steps, labels):
        assert len(steps.unique()) == 1
        self.given.append((int(steps[0]), images))
        return self.noise


def draw(net: nn.Module, start: torch.Tensor, timesteps: int, **keys: object) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return denoise(net, recipe(timesteps=timesteps), Sampling(**keys), start, LABELS, generator)


def steps_taken(timesteps: int, steps: int | None) -> list[int]:
    net = Watching(timesteps)
    draw(net, net.noise, timesteps, sampler="ddim", steps=steps)
    return [step for step, _ in net.given]


@pytest.mark.parametrize(
    ("timesteps", "steps"),
    [(500, 50), (500, 20), (500, 251), (500, 499), (500, 1), (500, 7), (50, 8), (50, 50), (50, 26), (37, 11)],
)
def test_ddim_takes_the_steps_of_diffusers_trailing_spacing(timesteps, steps):
    reference = DDIMScheduler(num_train_timesteps=timesteps, timestep_spacing="trailing")
    reference.set_timesteps(steps)
    found = steps_taken(timesteps, steps)
    assert found == [step for step in reference.timesteps.tolist() if step >= 0]  # of 499 it has one too many, -1
    assert found[0] == timesteps - 1 and len(found) == steps


@pytest.mark.parametrize("timesteps", [1, 2, 50, 499])
def test_any_number_of_steps_begins_in_pure_noise_and_falls_evenly(timesteps):
    for steps in range(1, timesteps + 1, max(1, timesteps // 40)):
        found = steps_taken(timesteps, steps)
        width = timesteps / steps
        assert found[0] == timesteps - 1 and len(found) == steps
        assert all(abs(step - (timesteps - k * width - 1)) <= 0.5 + 1e-9 for k, step in enumerate(found))
        assert found[-1] >= 0 and found == sorted(set(found), reverse=True)
    assert steps_taken(timesteps, None) == list(range(timesteps))[::-1]


@pytest.mark.parametrize("preset", ["demo", "mini", "paper"])
def test_every_set_of_a_preset_begins_at_its_last_step(preset):
    plan = load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": preset})
    asked = {
        (e.recipe.timesteps, sampling.steps)
        for e in plan.experiments
        if e.samples
        for sampling in e.samples.sets.values()
        if sampling.sampler == "ddim"
    }
    assert asked
    for timesteps, steps in asked:
        assert steps_taken(timesteps, steps)[0] == timesteps - 1


@pytest.mark.parametrize(("timesteps", "steps"), [(500, 251), (50, 8), (500, 300), (500, 50)])
def test_a_network_is_shown_the_noise_that_it_is_told_of(timesteps, steps):
    net = Watching(timesteps)
    found = draw(net, net.noised(timesteps - 1), timesteps, sampler="ddim", steps=steps)
    for step, images in net.given:
        torch.testing.assert_close(images, net.noised(step), atol=2e-3, rtol=0)
    torch.testing.assert_close(found, net.image, atol=2e-3, rtol=0)


def test_where_steps_divide_ddim_draws_what_diffusers_draws():
    net, noise = network(UNET).eval(), torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    reference = DDIMScheduler(num_train_timesteps=500, beta_start=1e-4, beta_end=0.028, timestep_spacing="trailing")
    reference.set_timesteps(20)
    expected = noise
    with torch.inference_mode():
        for step in reference.timesteps:
            predicted = net(expected, step.expand(2), LABELS)
            expected = reference.step(predicted, step, expected).prev_sample
    found = draw(net, noise, 500, sampler="ddim", steps=20)
    # An eighth of a grey level: twenty passes of an untrained network magnify the rounding of float32.
    torch.testing.assert_close(found, expected.clamp(-1, 1), atol=1e-3, rtol=0)


def changed(preset: str, **samples: object):
    changes = {f"generation/{name}": {"samples": value} for name, value in samples.items()}
    return load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": preset, "experiments": changes})


def test_more_steps_than_the_training_has_are_refused_before_it():
    sets = {"added": {"sampler": "ddim", "steps": 51, "per_class": 56}, "fast": {"sampler": "ddim", "steps": 50}}
    said = r"diffusion.samples.sets.added.steps = 51: is more than recipe.timesteps = 50; give 50 at most"
    with pytest.raises(UserError, match=said):
        changed("demo", diffusion={"sets": sets})
    sets["added"]["steps"] = 50
    changed("demo", diffusion={"sets": sets})


def test_only_generators_draw_samples():
    with pytest.raises(UserError, match=r"classifier.samples: .* task is classification; take"):
        changed("demo", classifier={"sets": {"a": {}}})


@pytest.mark.parametrize(
    ("name", "sampling", "said"),
    [
        ("acgan", {"sampler": "ddim", "steps": 10}, "sampler = ddim: acgan takes no steps; set it to direct"),
        ("acgan", {}, "sampler = ddpm: acgan takes no steps"),
        ("diffusion_unet", {"sampler": "direct"}, "sampler = direct: diffusion_unet needs steps; set it to ddpm or"),
    ],
)
def test_a_sampler_must_fit_its_network(name, sampling, said):
    samples = Samples(sets={"few": Sampling(**sampling)})
    with pytest.raises(UserError, match=rf"^samples.sets.few.{said}"):
        check_samples(Model(name=name), samples)


def test_samplers_that_fit():
    check_samples(Model(name="acgan"), Samples(sets={"all": Sampling(sampler="direct")}))
    check_samples(Model(name="diffusion_unet"), Samples(sets={"all": Sampling(sampler="ddim")}))
    check_samples(Model(name="resnet18"), None)
