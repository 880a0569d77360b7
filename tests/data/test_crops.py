"""Crops, flips and normalisation against torchvision, image by image."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from florilegium.config.recipes import Recipe
from florilegium.data import crops
from florilegium.data.augment import EvalTransform, InputConfig, TrainTransform

MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}
PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
NEAREST = Image.Resampling.NEAREST
BOXES = torch.tensor([[0, 0, 40, 40], [3, 5, 20, 31], [10, 0, 7, 9], [1, 30, 39, 10]])
FLIPS = torch.tensor([False, True, False, True])


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    """Four soft 40-pixel images, since noise alone would hide a shift by half a pixel."""
    torch.manual_seed(0)
    coarse = torch.rand(4, 3, 10, 10)
    soft = torch.nn.functional.interpolate(coarse, 40, mode="bicubic").clamp(0, 1) * 255
    return soft.round().byte().permute(0, 2, 3, 1).contiguous()


def reference(pixels: torch.Tensor, size: int, interpolation: str) -> torch.Tensor:
    """torchvision's crops, one image at a time, in the type of `pixels`."""
    crops_of_one = []
    for image, (top, left, height, width), flip in zip(pixels.permute(0, 3, 1, 2), BOXES.tolist(), FLIPS, strict=True):
        crop = tv.resized_crop(image, top, left, height, width, [size, size], MODES[interpolation], True)
        crops_of_one.append(tv.horizontal_flip(crop) if flip else crop)
    return torch.stack(crops_of_one)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [12, 24, 64])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_kernel_crops_as_torchvision_does(pixels, size, interpolation, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = crops.crop_resize(pixels, BOXES, FLIPS, size, interpolation, crops.Buffers())
    torch.set_num_threads(before)
    assert torch.equal(found, reference(pixels, size, interpolation))
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [12, 24, 64])
def test_the_matrices_of_a_gpu_give_the_same_crops_within_rounding(pixels, size, interpolation):
    out = torch.empty(4, 3, size, size, dtype=torch.uint8)
    crops.by_matrices(pixels.permute(0, 3, 1, 2), BOXES, FLIPS, interpolation, out)
    exact = pixels.double() if interpolation == "bilinear" else pixels  # a bicubic is held to bytes between its passes
    expected = reference(exact, size, interpolation).double().round().clamp(0, 255)
    apart = (out - expected).abs()
    # A value half way between two may be rounded either way, and by the kernel's weights in 16 bits once more.
    assert apart.max() <= (1 if interpolation == "bilinear" else 2)
    assert apart.mean() < 0.01


def hard_edges(side: int) -> torch.Tensor:
    """Blocks of black, white and full colours, uint8 (4, side, side, 3): a bicubic overshoots at each edge."""
    blocks = np.random.default_rng(0).integers(0, 2, (4, side // 5, side // 5, 3), dtype=np.uint8) * 255
    return torch.from_numpy(np.stack([np.asarray(Image.fromarray(b).resize((side, side), NEAREST)) for b in blocks]))


def by_matrices(pixels: torch.Tensor, boxes: torch.Tensor, size: int, interpolation: str) -> torch.Tensor:
    """What a GPU does, on the CPU: int (B, 3, size, size)."""
    out = torch.empty(len(pixels), 3, size, size, dtype=torch.uint8)
    crops.by_matrices(pixels.permute(0, 3, 1, 2), boxes, torch.zeros(len(boxes)).bool(), interpolation, out)
    return out.int()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("side", "size"), [(40, 12), (40, 64), (64, 48), (100, 99), (32, 224), (256, 224)])
def test_a_gpu_resizes_hard_edges_as_pillow_and_a_cpu_do(side, size, interpolation):
    pixels, whole = hard_edges(side), torch.tensor([[0, 0, side, side]] * 4)
    found = by_matrices(pixels, whole, size, interpolation)
    pillow = [Image.fromarray(p).resize((size, size), PILLOW[interpolation]) for p in pixels.numpy()]
    expected = torch.from_numpy(np.stack(pillow)).permute(0, 3, 1, 2).int()
    cpu = tv.resize(pixels.permute(0, 3, 1, 2), [size, size], MODES[interpolation], antialias=True).int()
    assert (found - expected).abs().max() <= 2 and (found - cpu).abs().max() <= 2
    assert (found != expected).float().mean() < 0.2 and (found != cpu).float().mean() < 0.2


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("side", "size"), [(64, 32), (64, 96), (256, 224)])
def test_a_gpu_crops_hard_edges_as_a_cpu_does(side, size, interpolation):
    """Boxes of any shape, against torch's kernel and against two passes of Pillow, columns first (Pillow itself
    takes the cheaper pass first)."""
    torch.manual_seed(0)
    pixels = hard_edges(side).repeat(4, 1, 1, 1)
    boxes, _ = crops.draw_boxes(16, side, (0.08, 1.0), (0.3, 3.0))
    found = by_matrices(pixels, boxes, size, interpolation)
    cpu = crops.crop_resize(pixels, boxes, torch.zeros(16).bool(), size, interpolation, crops.Buffers()).int()
    assert (found - cpu).abs().max() <= 2 and (found != cpu).float().mean() < 0.2
    for image, (top, left, height, width), ours in zip(pixels.numpy(), boxes.tolist(), found, strict=True):
        box = Image.fromarray(image).crop((left, top, left + width, top + height))
        passes = box.resize((size, height), PILLOW[interpolation]).resize((size, size), PILLOW[interpolation])
        assert (ours.permute(1, 2, 0) - torch.from_numpy(np.array(passes)).int()).abs().max() <= 2


def test_boxes_lie_inside_and_cover_the_scale_and_ratio_asked_for():
    torch.manual_seed(0)
    boxes, valid = crops.draw_boxes(4000, 100, (0.2, 0.8), (0.5, 2.0))
    top, left, height, width = boxes.unbind(1)
    assert valid.all()
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 100).all() and (left + width <= 100).all()
    area, ratio = height * width / 100**2, width / height
    assert area.min() > 0.19 and area.max() < 0.81
    assert ratio.min() > 0.48 and ratio.max() < 2.08
    assert area.mean().item() == pytest.approx(0.47, abs=0.03)
    assert (ratio.log() > 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert top.unique().numel() > 50


def test_boxes_that_cannot_fit_cover_all_and_say_so():
    boxes, valid = crops.draw_boxes(3, 10, (1.0, 1.0), (4.0, 4.0))
    assert not valid.any()
    assert boxes.tolist() == [[0, 0, 10, 10]] * 3


def test_padded_crops_are_windows_with_a_black_border(pixels):
    torch.manual_seed(0)
    many = pixels[:1].expand(200, -1, -1, -1)
    found = crops.padded_crop(
        many, torch.zeros(200, dtype=torch.bool), crops.Buffers(), size=40, padding=4, interpolation="bilinear"
    )
    bordered = tv.pad(pixels[0].permute(2, 0, 1), [4])
    windows = {bordered[:, y : y + 40, x : x + 40].numpy().tobytes() for y in range(9) for x in range(9)}
    seen = {image.contiguous().numpy().tobytes() for image in found}
    assert seen <= windows
    assert len(seen) > 60


def config(size: int, interpolation: str = "bilinear", crop_pct: float = 1.0) -> InputConfig:
    return InputConfig(size, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), interpolation, crop_pct)


def train_transform(size: int, **keys: object) -> TrainTransform:
    return TrainTransform(Recipe.model_validate({"epochs": 1} | keys), config(size))


def test_normalisation_is_torchvisions(pixels):
    expected = tv.normalize(pixels.permute(0, 3, 1, 2) / 255, [0.4, 0.5, 0.6], [0.2, 0.25, 0.3])
    torch.testing.assert_close(EvalTransform(config(40))(pixels), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("size", "crop_pct", "resized"),
    [(40, 1.0, 40), (35, 0.875, 40), (30, 0.875, 34), (16, 1.0, 16), (48, 1.0, 48), (35, 0.95, 36), (38, 0.95, 40)],
)
def test_evaluation_resizes_to_its_part_and_crops_the_middle(pixels, size, crop_pct, resized):
    images = pixels.permute(0, 3, 1, 2)
    images = tv.resize(images, [resized, resized], InterpolationMode.BILINEAR, antialias=True)
    expected = tv.normalize(tv.center_crop(images, [size, size]) / 255, [0.4, 0.5, 0.6], [0.2, 0.25, 0.3])
    found = EvalTransform(config(size, crop_pct=crop_pct))(pixels)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert found.shape == (4, 3, size, size)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_flip_mirrors_and_its_probability_holds(pixels):
    straight = EvalTransform(config(40))(pixels)
    always = train_transform(40, crop="centre", flip=1.0)(pixels)
    assert torch.equal(always, straight.flip(3))
    torch.manual_seed(0)
    some = train_transform(40, crop="centre", flip=0.3)(pixels[:1].expand(1000, -1, -1, -1))
    mirrored = (some == straight[:1].flip(3)).all((1, 2, 3))
    assert mirrored.float().mean().item() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("crop", ["random_resized", "padded", "centre"])
@pytest.mark.parametrize("size", [24, 40, 56])
def test_every_crop_gives_channels_last_floats_of_the_size(pixels, crop, size):
    found = train_transform(size, crop=crop, randaugment=1, random_erasing=0.5)(pixels)
    assert found.shape == (4, 3, size, size)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_every_image_has_its_own_crop_and_a_seed_repeats_them(pixels):
    same = pixels[:1].expand(16, -1, -1, -1)
    transform = train_transform(24)
    torch.manual_seed(1)
    first = transform(same).clone()
    assert len({image.numpy().tobytes() for image in first}) == 16
    torch.manual_seed(1)
    assert torch.equal(transform(same), first)
    assert not torch.equal(transform(same), first)


def test_a_batch_reuses_the_memory_of_the_one_before(pixels):
    transform = train_transform(24)
    first = transform(pixels)
    assert transform(pixels).data_ptr() == first.data_ptr()
    assert transform(pixels[:3]).data_ptr() == first.data_ptr()
    evaluation = EvalTransform(config(24))
    kept, _ = evaluation(pixels), evaluation(pixels[:2])
    assert torch.equal(kept, evaluation(pixels))
