"""Overlaps, box codes and matching, against torchvision's own and against values by hand."""

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.ops import box_iou

from florilegium.data.boxed import flipped
from florilegium.models.arguments import AnchorSettings
from florilegium.models.retinanet import BACKGROUND, IGNORED, anchors_of, clip, decode, encode, match, pairwise_iou

ANCHORS = anchors_of(AnchorSettings(sizes=(8, 16, 32, 64, 128)), 64, 96, torch.device("cpu"))


def some_boxes(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([70.0, 40.0])
    return torch.cat([corner, corner + 4 + 20 * torch.rand(count, 2, generator=generator)], dim=1)


def test_overlaps_equal_torchvisions():
    boxes = torch.stack([some_boxes(5), some_boxes(5, seed=1)])
    expected = torch.stack([box_iou(b, ANCHORS) for b in boxes])
    assert torch.allclose(pairwise_iou(boxes, ANCHORS), expected, atol=1e-6)


def test_a_known_overlap():
    iou = pairwise_iou(torch.tensor([[[0.0, 0.0, 10.0, 10.0]]]), torch.tensor([[5.0, 0.0, 15.0, 10.0]]))
    assert iou.item() == pytest.approx(50 / 150)


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [30, 20, 10, 40], [30, 40, 10, 20], [30, 20, 30, 40]])
def test_padding_and_inverted_boxes_overlap_nothing(box: list[float]):
    assert pairwise_iou(torch.tensor([[box]], dtype=torch.float32), ANCHORS).abs().max() == 0


def test_an_inverted_box_whose_area_cancels_an_anchor_s_overlaps_nothing():
    x1, y1, x2, y2 = ANCHORS[0].tolist()
    boxes = torch.tensor([[[x2, y1, x1, y2], [x1, y2, x2, y1]], [[0.0, 0, 0, 0], [x1, y1, x2, y2]]])
    iou = pairwise_iou(boxes, ANCHORS)
    assert iou.isfinite().all()
    assert iou[:, 0].abs().max() == 0 and iou[0, 1].abs().max() == 0
    assert iou[1, 1, 0] == 1


def test_codes_are_torchvisions_with_the_studys_weights():
    """Its weights 10, 10, 5 and 5 are the same division by 0.1 and 0.2."""
    boxes = some_boxes(len(ANCHORS))
    theirs = BoxCoder((10.0, 10.0, 5.0, 5.0)).encode_single(boxes, ANCHORS)
    assert torch.allclose(encode(boxes, ANCHORS), theirs, atol=1e-4)


def test_a_code_by_hand():
    anchor, box = torch.tensor([[0.0, 0.0, 10.0, 20.0]]), torch.tensor([[2.0, 4.0, 22.0, 14.0]])
    expected = [(12 - 5) / 10 / 0.1, (9 - 10) / 20 / 0.1, 0.693147 / 0.2, -0.693147 / 0.2]
    assert encode(box, anchor)[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_decoding_undoes_coding():
    boxes = torch.stack([some_boxes(len(ANCHORS)), some_boxes(len(ANCHORS), seed=1)])
    assert torch.allclose(decode(encode(boxes, ANCHORS), ANCHORS), boxes, atol=1e-3)


def test_a_side_counts_as_one_pixel_at_least_and_never_grows_to_infinity():
    anchor = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    assert encode(torch.tensor([[5.0, 5.0, 5.0, 5.0]]), anchor)[0, 2].item() == pytest.approx(
        torch.tensor(0.1).log().item() / 0.2
    )
    wild = decode(torch.full((1, 4), 1e6), anchor)
    assert wild.isfinite().all()


@pytest.mark.parametrize("low_quality", [False, True])
def test_matches_equal_torchvisions_image_by_image(low_quality: bool):
    """Three images of five, two and no objects, padded to five rows."""
    counts = (5, 2, 0)
    boxes, labels = torch.zeros(3, 5, 4), torch.zeros(3, 5, dtype=torch.int64)
    for image, count in enumerate(counts):
        boxes[image, :count] = some_boxes(count, seed=image)
        labels[image, :count] = torch.arange(count) + 1
    matched = match(boxes, labels, ANCHORS, low_quality=low_quality)
    matcher = Matcher(0.5, 0.4, allow_low_quality_matches=low_quality)
    for image, count in enumerate(counts[:2]):
        found = matcher(box_iou(boxes[image, :count], ANCHORS))
        expected = torch.where(found >= 0, labels[image][found.clamp(min=0)], found)
        assert (Matcher.BELOW_LOW_THRESHOLD, Matcher.BETWEEN_THRESHOLDS) == (BACKGROUND, IGNORED)
        assert torch.equal(matched.labels[image], expected)
        positive = found >= 0
        codes = encode(boxes[image][found[positive]], ANCHORS[positive])
        assert torch.equal(matched.deltas[image][positive], codes)
    assert matched.labels[2].unique().tolist() == [BACKGROUND]


def test_a_batch_without_any_object_is_all_background():
    matched = match(torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.int64), ANCHORS, low_quality=True)
    assert matched.labels.shape == (2, len(ANCHORS))
    assert not matched.positive.any()


def test_a_small_object_is_learnt_only_with_low_quality_matches():
    boxes, labels = torch.tensor([[[40.0, 30.0, 43.0, 33.0]]]), torch.zeros(1, 1, dtype=torch.int64)
    assert not match(boxes, labels, ANCHORS, low_quality=False).positive.any()
    assert match(boxes, labels, ANCHORS, low_quality=True).positive.any()


def test_a_flip_mirrors_boxes():
    boxes = torch.tensor([[1.0, 2.0, 5.0, 9.0]])
    assert flipped(boxes, 20.0).tolist() == [[15, 2, 19, 9]]
    assert torch.equal(flipped(flipped(boxes, 20.0), 20.0), boxes)


def test_boxes_are_cut_off_at_their_own_images_borders():
    boxes = torch.tensor([[-3.0, 2.0, 50.0, 60.0], [-3.0, 2.0, 50.0, 60.0]])
    cut = clip(boxes, torch.tensor([[40, 30], [100, 100]]))
    assert cut.tolist() == [[0, 2, 30, 40], [0, 2, 50, 60]]
