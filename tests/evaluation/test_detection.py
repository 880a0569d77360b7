"""From pictures to a detector's input, and from its answers to boxes in original pixels."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from florilegium.data.boxed import flip, gather, normalise
from florilegium.evaluation.coco import score_results
from florilegium.evaluation.detection import Suppression, by_bucket, detect, suppress
from florilegium.models.retinanet import clip, decode, encode
from tests.helpers.boxed import CATEGORY_IDS, CONFIG, CPU, detector, scenes, truth

SIZE = torch.tensor([[64, 64]])
ANCHORS = torch.tensor([[0.0, 0, 20, 20], [2, 0, 22, 20], [30, 30, 50, 50], [50, 50, 80, 80]])
NONE = torch.zeros(1, 4, 4)


def logits(*probabilities: list[float]) -> Tensor:
    return torch.tensor([probabilities]).logit()


def test_of_two_overlapping_boxes_the_likelier_stays_unless_classes_differ():
    found = suppress(logits([0.6, 0.3], [0.9, 0.01], [0.4, 0.01], [0.01, 0.01]), NONE, ANCHORS, SIZE, Suppression())
    assert found[0].scores.tolist() == pytest.approx([0.9, 0.4, 0.3])
    assert found[0].labels.tolist() == [0, 0, 1]
    assert found[0].boxes.tolist() == [[2, 0, 22, 20], [30, 30, 50, 50], [0, 0, 20, 20]]


def test_what_is_unlikely_or_over_the_limit_is_left_out():
    answers = logits([0.6, 0.04], [0.1, 0.02], [0.5, 0.03], [0.3, 0.06])

    def scores(**changes: object) -> list[float]:
        found = suppress(answers, NONE, ANCHORS, SIZE, Suppression(**changes))
        return pytest.approx(found[0].scores.tolist())

    assert scores() == [0.6, 0.5, 0.3, 0.06]
    assert scores(score=0.2) == [0.6, 0.5, 0.3]
    assert scores(after=2) == [0.6, 0.5]
    assert scores(before=3) == [0.6, 0.5, 0.3]
    assert scores(before=None, after=None) == [0.6, 0.5, 0.3, 0.06]
    assert scores(iou=1.0) == [0.6, 0.5, 0.3, 0.1, 0.06]


def test_boxes_are_cut_off_where_the_picture_ends_and_gone_outside():
    found = suppress(logits([0.1], [0.2], [0.3], [0.9]), NONE, ANCHORS, torch.tensor([[64, 40]]), Suppression())
    assert found[0].boxes.tolist() == [[30, 30, 40, 50], [2, 0, 22, 20]]


@pytest.mark.parametrize("before", [None, 50])
def test_a_batch_is_what_its_images_are_one_by_one_and_class_by_class(before: int | None):
    """Against torchvision's suppression in a loop."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(80, 2, generator=generator) * 60
    anchors = torch.cat([corner, corner + 10 + 20 * torch.rand(80, 2, generator=generator)], dim=1)
    answers = torch.randn(3, 80, 4, generator=generator)
    deltas = torch.randn(3, 80, 4, generator=generator)
    content = torch.tensor([[64, 64], [48, 64], [64, 32]])
    found = suppress(answers, deltas, anchors, content, Suppression(score=0.3, before=before, after=20))
    for image in range(3):
        scores = answers[image].sigmoid()
        if before:
            scores = torch.where(scores >= scores.flatten().sort(descending=True)[0][before - 1], scores, 0)
        expected = []
        for label in range(4):
            chosen = scores[:, label] > 0.3
            boxes = clip(decode(deltas[image][chosen], anchors[chosen]), content[image].expand(int(chosen.sum()), 2))
            there = (boxes[:, 2:] > boxes[:, :2]).all(1)
            boxes, own = boxes[there], scores[chosen, label][there]
            expected += [(own[k].item(), label, boxes[k].tolist()) for k in nms(boxes, own, 0.5)]
        expected = sorted(expected, reverse=True)[:20]
        assert found[image].scores.tolist() == pytest.approx([score for score, _, _ in expected], rel=1e-6)
        assert found[image].labels.tolist() == [label for _, label, _ in expected]
        assert torch.allclose(found[image].boxes, torch.tensor([box for _, _, box in expected]), atol=1e-4)


def pairs_about_the_threshold(n_classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Answers (120, C) at anchors (120, 4): of each of 60 pairs, the less likely one has an IoU of 0.5 with the
    other, give or take a ten-thousandth."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(60, 2, generator=generator) * 900
    side = 60 + 100 * torch.rand(60, 2, generator=generator)
    anchors = torch.cat([corner, corner + side], dim=1).repeat(2, 1)
    least = 0.5 + 1e-4 * torch.tensor([-1.0, 1.0]).repeat(30)
    anchors[60:, ::2] += (side[:, 0] * (1 - least) / (1 + least))[:, None]
    answers = torch.full((120, n_classes), -9.0)
    label = torch.randint(0, n_classes, (60,), generator=generator)
    answers[torch.arange(60), label] = 2 + torch.rand(60, generator=generator)
    answers[torch.arange(60, 120), label] = torch.rand(60, generator=generator)
    return answers, anchors


def found_in(answers: Tensor, anchors: Tensor) -> list[list[tuple[float, int, list[float]]]]:
    """What is found in a batch, with all that is likely enough before suppression."""
    content, deltas = torch.tensor([[1200, 1200]] * len(answers)), torch.zeros(len(answers), len(anchors), 4)
    found = suppress(answers, deltas, anchors, content, Suppression(after=None))
    return [list(zip(of.scores.tolist(), of.labels.tolist(), of.boxes.tolist(), strict=True)) for of in found]


def overlap(a: list[float], b: list[float]) -> float:
    """IoU of two boxes, in float64."""
    width, height = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    common = max(width, 0) * max(height, 0)
    return common / (sum((of[2] - of[0]) * (of[3] - of[1]) for of in (a, b)) - common)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_found_in_an_image_depends_on_no_other_image_and_no_other_class(seed: int):
    """Against suppression written out in float64: the likeliest box stays, and none of its class that
    overlaps it by more than a half."""
    answers, anchors = pairs_about_the_threshold(80, seed)
    left = sorted(
        [
            (p, k, box)
            for box, of in zip(decode(torch.zeros(120, 4), anchors).tolist(), answers, strict=True)
            for k, p in enumerate(of.double().sigmoid().float().tolist())
            if p > 0.05
        ],
        reverse=True,
    )
    expected = []
    while left:
        best, *others = left
        expected.append(best)
        left = [of for of in others if of[1] != best[1] or overlap(of[2], best[2]) <= 0.5]
    assert 80 < len(expected) < 100
    assert found_in(answers[None], anchors) == [expected]
    other, _ = pairs_about_the_threshold(80, seed + 100)
    batch = torch.stack([other, answers, other.flip(0), answers, other.roll(5, 1), answers])
    assert found_in(batch, anchors)[1::2] == [expected] * 3
    more = torch.cat([answers, torch.full((120, 900), -9.0)], dim=1)
    assert found_in(more[None], anchors) == [expected]
    moved = torch.cat([torch.full((120, 900), -9.0), answers], dim=1)
    assert found_in(moved[None], anchors) == [[(p, k + 900, box) for p, k, box in expected]]


@pytest.mark.parametrize("before", [None, 30])
def test_of_equal_scores_the_answer_that_comes_first_is_told_first(before: int | None):
    boxes = torch.tensor([[100.0 * n, 0, 100.0 * n + 50, 50] for n in range(5)])
    answers = torch.zeros(2, 5, 4)
    found = suppress(answers, torch.zeros(2, 5, 4), boxes, torch.tensor([[64, 600]] * 2), Suppression(before=before))
    for of in found:
        order = list(zip(of.boxes[:, 0].tolist(), of.labels.tolist(), strict=True))
        assert order == [(100.0 * n, label) for n in range(5) for label in range(4)]


def test_a_batch_of_one_shape_keeps_it_and_a_mixed_one_is_padded():
    part = scenes(6)
    assert gather(part, torch.tensor([0, 3])).pixels.shape == (2, 64, 64, 3)
    mixed = gather(part, torch.tensor([2, 1]))
    assert mixed.pixels.shape == (2, 64, 96, 3)
    assert torch.equal(mixed.pixels[0, :32], part.pixels[1][0])
    assert torch.equal(mixed.pixels[1, :, :64], part.pixels[0][1])
    assert mixed.pixels[0, 32:].max() == mixed.pixels[1, :, 64:].max() == 0


def test_images_of_fewer_objects_are_filled_up_with_zeros():
    part = scenes(3)
    part = replace(part, boxes=(part.boxes[0][:1], part.boxes[1][:0], part.boxes[2]))
    batch = gather(part, torch.tensor([0, 1, 2]))
    most = max(map(len, part.boxes))
    assert batch.boxes.shape == (3, most, 4)
    assert torch.equal(batch.boxes[0, :1], part.boxes[0])
    assert batch.boxes[1].abs().sum() == 0
    empty = replace(part, boxes=(torch.zeros(0, 4),) * 3, labels=(torch.zeros(0, dtype=torch.int64),) * 3)
    assert gather(empty, torch.tensor([0, 1])).boxes.shape == (2, 0, 4)


def test_a_batch_is_a_copy_and_is_flipped_with_its_boxes_inside_its_content():
    """Number 1 is 56 pixels wide in a padded width of 64; what is in a box goes with it."""
    part = scenes(2)
    before = part.pixels[0].clone()
    batch = gather(part, torch.tensor([1, 0]))
    turned = flip(batch, torch.tensor([True, False]))
    assert torch.equal(part.pixels[0], before)
    picture, boxes = part.pixels[0][1], part.boxes[1]
    assert torch.equal(turned.pixels[0, :, :56], picture[:, :56].flip(1))
    assert turned.pixels[0, :, 56:].max() == 0
    assert torch.equal(turned.pixels[1], part.pixels[0][0])
    assert torch.equal(turned.boxes[1], batch.boxes[1])
    for (x1, y1, x2, y2), (u1, v1, u2, v2) in zip(boxes.int().tolist(), turned.boxes[0].int().tolist(), strict=False):
        assert (u1, u2) == (56 - x2, 56 - x1)
        assert torch.equal(turned.pixels[0, v1:v2, u1:u2], picture[y1:y2, x1:x2].flip(1))


def test_the_input_is_normalised_and_nought_in_the_padding():
    part = scenes(2)
    images = normalise(gather(part, torch.tensor([1])), CONFIG)
    assert images.shape == (1, 3, 64, 64)
    assert images.is_contiguous()
    expected = (part.pixels[0][1].permute(2, 0, 1) / 255 - 0.5) / 0.25
    assert torch.allclose(images[0, :, :, :56], expected[:, :, :56], atol=1e-5)
    assert images[0, :, :, 56:].abs().max() == 0


def test_every_image_is_in_one_batch_of_its_own_shape():
    part = scenes(10)
    batches = list(by_bucket(part, 4))
    assert sorted(torch.cat(batches).tolist()) == list(range(10))
    assert [len(part.bucket[index].unique()) for index in batches] == [1] * len(batches)
    assert max(map(len, batches)) == 4


class Knowing(nn.Module):
    """A detector that answers with the boxes of `part`, found by the brightness of a picture's corner."""

    def __init__(self, part) -> None:
        super().__init__()
        self.part, self.inner = part, detector()

    def anchors(self, images: Tensor) -> Tensor:
        return self.inner.anchors(images)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        anchors = self.anchors(images)
        answers = torch.full((len(images), len(anchors), 2), -9.0)
        deltas = torch.zeros(len(images), len(anchors), 4)
        for n, image in enumerate(images):
            number = round(((image[0, 0, 0] * 0.25 + 0.5) * 255).item())
            boxes, labels = self.part.boxes[number], self.part.labels[number]
            for place, (box, label) in enumerate(zip(boxes, labels, strict=True)):
                answers[n, place, label] = 3.0 - place
                deltas[n, place] = encode(box[None], anchors[place : place + 1])[0]
        return answers, deltas


def test_what_is_found_is_told_in_original_pixels_and_in_the_order_of_a_submission():
    """A detector that knows all scores 1 in every figure, whatever the scale of the packed pictures."""
    part = replace(scenes(7, scale=0.5), ids=(9, 3, 4, 1, 8, 2, 6))
    for number in range(7):
        part.pixels[part.bucket[number]][part.row[number], 0, 0, 0] = number
    answers = detect(Knowing(part), part, CONFIG, Suppression(), category_ids=CATEGORY_IDS, device=CPU)
    figures = score_results(truth(part), answers.results)
    assert figures.overall["AP"] == pytest.approx(1.0)
    order = [(line["image_id"], -line["score"]) for line in answers.results]
    assert order == sorted(order)
    first = next(line for line in answers.results if line["image_id"] == 9)
    x1, y1, x2, y2 = (2 * part.boxes[0][0]).tolist()
    assert first["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.02)
    assert first["category_id"] == CATEGORY_IDS[part.labels[0][0]]
    assert answers.loss is None


def test_a_detector_at_its_prior_finds_nothing():
    answers = detect(detector(), scenes(3), CONFIG, Suppression(), category_ids=CATEGORY_IDS, device=CPU)
    assert answers.results == []
