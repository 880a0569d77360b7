"""Generated images: how they are drawn, judged, shown, and learned from."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from florilegium.audit.hashing import hashes_of, thumbnails
from florilegium.config.base import parse
from florilegium.config.data import Sampling
from florilegium.config.products import Audit
from florilegium.core.errors import UserError
from florilegium.data.load import with_generated
from florilegium.generation import judging
from florilegium.generation.diffusion import denoise, guided
from florilegium.generation.judging import copies, nearest
from florilegium.generation.sampling import sample
from florilegium.generation.sheets import grid, save_animation
from tests.helpers.training import splits
from tests.training.test_generation import ACGAN, CPU, UNET, network, recipe


def drawn(model=UNET, seed: int = 0, shown: int = 2, **keys):
    sampling = Sampling.model_validate({"per_class": 3} | keys)
    return sample(
        network(model), recipe(timesteps=12), sampling, n_classes=3, size=8, shown=shown, seed=seed, device=CPU
    )


def test_the_same_seed_draws_the_same_images_and_more_of_them_change_none():
    first, again, other = drawn(), drawn(), drawn(seed=1)
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)
    assert first.pixels.shape == (9, 8, 8, 3) and first.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    few, many = (drawn(sampler="ddim", steps=4, per_class=n).pixels for n in (3, 5))
    assert np.array_equal(few[:3], many[:3])


def test_the_film_ends_with_the_images_and_begins_near_the_noise():
    made = drawn()
    assert made.frames.shape == (12, 6, 8, 8, 3) and made.noise.shape == (6, 8, 8, 3)
    assert np.array_equal(made.frames[-1], made.pixels[[0, 1, 3, 4, 6, 7]])


def test_a_gan_needs_one_pass():
    made = drawn(ACGAN, sampler="direct")
    assert made.pixels.shape == (9, 8, 8, 3)
    assert made.frames.shape[1] == 0 and len(made.noise) == 0


class Scripted(nn.Module):
    """Says 1 with the class and 0.25 without it."""

    hidden_class = 9

    def forward(self, images, steps, labels):
        value = torch.where(labels == 9, 0.25, 1.0).view(-1, 1, 1, 1)
        return value.expand_as(images)


def test_guidance_goes_beyond_the_class_by_its_distance_from_no_class():
    images, labels = torch.zeros(2, 3, 4, 4), torch.tensor([1, 2])
    hidden = torch.full_like(labels, 9)
    for w, expected in ((0.0, 1.0), (1.8, 2.8 * 1 - 1.8 * 0.25)):
        found = guided(Scripted(), images, torch.tensor(3), labels, hidden, w)
        assert found.unique().tolist() == pytest.approx([expected])


class Knowing(nn.Module):
    """Knows that all images are black, and so what the noise in any is."""

    hidden_class = 3

    def __init__(self, kept: torch.Tensor) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, images, steps, labels):
        kept = self.kept[steps].view(-1, 1, 1, 1)
        return (images + kept.sqrt()) / (1 - kept).sqrt()


@pytest.mark.parametrize("keys", [{}, {"sampler": "ddim", "steps": 10}])
def test_whoever_knows_the_noise_finds_the_image(keys):
    how = recipe(timesteps=100, beta_start=0.001, beta_end=0.1)
    kept = torch.cumprod(1 - torch.linspace(0.001, 0.1, 100), 0)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 3, 8, 8, generator=generator)
    found = denoise(Knowing(kept), how, Sampling(**keys), noise, torch.tensor([0, 1]), generator)
    assert (found + 1).abs().max() < 0.1


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"guidance": -1.0}, "guidance = -1.0"),
        ({"sampler": "ddpm", "steps": 10}, "steps: sampler = ddpm takes no fewer steps"),
        ({"sampler": "direct", "guidance": 1.0}, "guidance: sampler = direct"),
    ],
)
def test_samplings_that_cannot_be(keys, said):
    with pytest.raises(UserError, match=said):
        parse(Sampling, keys, "samples")


def noise(count: int, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (count, 4, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((32, 32), Image.Resampling.BICUBIC)) for c in coarse])


@pytest.mark.parametrize("at_once", [20, 3])
def test_the_nearest_image_and_its_distance(monkeypatch, at_once):
    monkeypatch.setattr(judging, "NUMBERS", at_once * 3 * 32**2)
    ours, others = noise(3, 0), noise(20, 1)
    found = nearest(torch.from_numpy(ours), torch.from_numpy(others), 32, CPU)
    differences = ((ours[:, None].astype(float) - others[None]) / 255) ** 2
    expected = differences.mean((2, 3, 4))
    assert found.place.tolist() == expected.argmin(1).tolist()
    np.testing.assert_allclose(found.distance, expected.min(1), rtol=1e-4)


def test_a_copy_is_seen_even_mirrored_and_a_new_image_is_not():
    trained, made = noise(20, 1), noise(4, 2)
    made[1] = trained[7]
    made[3] = trained[5][:, ::-1]
    settings = Audit()
    pictures = [thumbnails(Image.fromarray(image)) for image in trained]
    found = copies(made, hashes_of([str(k) for k in range(len(trained))], pictures), settings)
    assert found == {1: "7", 3: "5"}


@pytest.fixture
def samples(tmp_path):
    pixels = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    np.save(tmp_path / "samples.npy", pixels)
    table = pd.DataFrame({"sample": range(12), "class": np.repeat(["a", "b", "c"], 4)})
    table.to_csv(tmp_path / "samples.csv", index=False)
    return tmp_path / "samples.npy"


def test_generated_images_are_added_evenly_and_a_larger_share_holds_a_smaller(samples):
    data = splits(train=24)
    quarter, half = (with_generated(data, samples, share) for share in (0.25, 0.5))
    assert len(quarter.train) == 30 and len(half.train) == 36
    assert torch.bincount(quarter.train.labels[24:]).tolist() == [2, 2, 2]
    assert set(quarter.train.names[24:]) < set(half.train.names[24:])
    assert quarter.train.pixels[24:][:, 0, 0, 0].tolist() == [0, 1, 4, 5, 8, 9]
    assert quarter.test is data.test and quarter.val is data.val
    assert with_generated(data, samples, 0.0) is data


def test_too_few_generated_images_and_unknown_classes(samples):
    with pytest.raises(UserError, match=r"holds 12 images .* needs 24; raise per_class"):
        with_generated(splits(train=24), samples, 1.0)
    table = pd.read_csv(samples.with_suffix(".csv"))
    table.assign(**{"class": "z"}).to_csv(samples.with_suffix(".csv"), index=False)
    with pytest.raises(UserError, match="'z', which the data set does not know"):
        with_generated(splits(train=24), samples, 0.25)


def test_pictures_have_a_row_a_class_and_a_film_its_frames(tmp_path):
    pixels = noise(6, 0)
    assert grid(pixels, ["a", "b"]).size == (132 + 3 * 68, 2 * 68 + 4)
    save_animation(np.stack([pixels, pixels[::-1]]), ["a", "b"], tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 2
