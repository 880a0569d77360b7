"""RandAugment and random erasing."""

import pytest
import torch
from torchvision.transforms.v2 import RandAugment
from torchvision.transforms.v2 import functional as tv

from florilegium.data import augment
from florilegium.data.augment import erase, operations_at, randaugment

SIZE = 20


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    """A dull image (values 60 to 130) with one spot of 255, 64 times."""
    torch.manual_seed(0)
    image = torch.randint(60, 131, (3, SIZE, SIZE), dtype=torch.uint8)
    image[:, 3, 4] = 255
    return image.expand(64, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)


def test_at_magnitude_0_autocontrast_equalize_and_solarize_still_act(batch):
    acting = {
        name
        for name, operation in operations_at(0, SIZE).items()
        if not torch.equal(operation(batch[:1], 1.0), batch[:1])
    }
    assert acting == {"AutoContrast", "Equalize", "Solarize"}


def test_at_magnitude_0_a_batch_is_changed_and_not_all_of_it(batch):
    torch.manual_seed(0)
    found = randaugment(batch.clone(), 1, 0)
    kept = (found == batch).all((1, 2, 3)).float().mean().item()
    assert kept == pytest.approx(11 / 14, abs=0.15)


@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_the_fourteen_operations_are_torchvisions(batch, magnitude):
    space = RandAugment._AUGMENTATION_SPACE
    operations = operations_at(magnitude, SIZE)
    assert set(operations) == set(space)
    applier = RandAugment()
    for name, (magnitudes, signed) in space.items():
        strengths = magnitudes(31, SIZE, SIZE)
        strength = 0.0 if strengths is None else float(strengths[magnitude])
        for sign in (-1, 1) if signed else (1,):
            expected = applier._apply_image_or_video_transform(
                batch[:2], name, sign * strength, applier.interpolation, applier._fill
            )
            apart = operations[name](batch[:2], sign).int() - expected.int()
            assert apart.abs().max() <= 1, (name, sign)  # its strengths are rounded to float32


def test_each_image_draws_its_own_operations(batch):
    torch.manual_seed(0)
    found = randaugment(batch.clone(), 2, 15)
    assert len({image.contiguous().numpy().tobytes() for image in found}) > 20
    torch.manual_seed(0)
    assert torch.equal(randaugment(batch.clone(), 2, 15), found)


def test_two_operations_follow_each_other(batch, monkeypatch):
    table = {"Brighter": lambda x, sign: tv.adjust_brightness(x, 1.1)}
    monkeypatch.setattr(augment, "operations_at", lambda *_: table)
    once = tv.adjust_brightness(batch, 1.1)
    assert torch.equal(randaugment(batch.clone(), 2, 9), tv.adjust_brightness(once, 1.1))


def test_erasing_puts_noise_into_one_rectangle_of_the_right_area():
    torch.manual_seed(0)
    images = torch.full((400, 3, 32, 32), 9.0)
    erase(images, 0.25)
    changed = (images != 9).any(1)
    erased = changed.any((1, 2))
    assert erased.float().mean().item() == pytest.approx(0.25, abs=0.06)
    for mask in changed[erased]:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        height, width = (int(edge[-1] - edge[0]) + 1 for edge in (rows, columns))
        assert mask.sum() == height * width  # a full rectangle
        assert 0.01 < height * width / 32**2 < 0.36
    noise = images[images != 9]
    assert noise.mean().item() == pytest.approx(0, abs=0.05)
    assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_erasing_never_and_always():
    images = torch.full((50, 3, 16, 16), 9.0)
    erase(images, 0.0)
    assert (images == 9).all()
    erase(images, 1.0)
    assert (images != 9).any(1).any(2).any(1).all()
