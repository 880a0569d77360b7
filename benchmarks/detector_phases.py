"""The time before and after a detector's training steps: the first batch, evaluation, inference."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from detector_sides import Ours, seconds
from measure import interleave, median_interval
from published_detector import Published
from torch import nn

from florilegium.data import boxed
from florilegium.data.boxed import BoxedStore
from florilegium.evaluation.classification import autocast
from florilegium.evaluation.coco import score_results
from florilegium.evaluation.detection import suppress, suppression
from florilegium.models import registry
from florilegium.training.detection import answerer

ANSWERS = 500  # an image, above the least score: as of a detector in the middle of its training
LEAST_SCORE = 0.05
SCORED = 24  # images
VALIDATED = 0.25  # images that are evaluated after an epoch, as a part of those trained on
INFERENCE = (1, 16)  # images at a time


def first_batch(ours: Ours, published: Published | None) -> dict[str, float]:
    """From files to a batch on the device: ours from the packed file, which is made once; theirs from JPEGs."""

    def load() -> None:
        packed = ours.photos.packed
        scenes = BoxedStore(packed / "scenes.npy", packed / "annotations.json").take(["test"])
        scenes = boxed.place(scenes, ours.device)
        index = torch.arange(ours.recipe.batch_size)
        ours.learner.objective.prepare(boxed.gather(scenes, index, ours.device))

    found = {"ours": seconds(load, ours.device), "ours, packing once": ours.photos.seconds_packing}
    if published:
        found["published"] = seconds(published.first_batch, ours.device)
    return found


def evaluation(ours: Ours, published: Published | None, rates: Mapping[str, float]) -> dict[str, float]:
    """Seconds a thousand images, detection and COCO's figures together, and the share in an epoch's time."""
    network, device, photos = ours.learner.network, ours.device, ours.photos
    ids = tuple(category["id"] for category in photos.truth["categories"])
    answer = answerer(ours.learner.objective, ids, device)
    index = torch.arange(min(2, len(photos.scenes)))

    def forward() -> Any:
        images = boxed.normalise(boxed.gather(ours.scenes, index, device), registry.own_input(ours.model))
        return network.eval()(images)

    enliven(network.class_head.answer, forward, len(index))

    def score() -> None:
        score_results(photos.truth, answer(network, ours.scenes).results)

    score()  # kernels are chosen for every shape
    found = _evaluated("ours", seconds(score, device) / len(photos.scenes), rates, ours.recipe.batch_size)
    if published:
        image = published.ready[2][0]["img"].to(device)[:1].float()
        enliven(published.network.classificationModel.output, lambda: published.detect(image), 1)
        count = min(SCORED, len(photos.scenes))
        published.score(2)
        started = time.perf_counter()
        published.score(count)
        spent = (time.perf_counter() - started) / count
        found |= _evaluated("published", spent, rates, 2)
    return found


def _evaluated(side: str, an_image: float, rates: Mapping[str, float], batch: int) -> dict[str, float]:
    name = f"{side}, batch {batch}"
    training = 1 / next(rate for key, rate in rates.items() if key.startswith(name))
    share = VALIDATED * an_image / (training + VALIDATED * an_image)
    return {f"{side}, seconds a thousand images": 1000 * an_image, f"{side}, share of an epoch": share}


def enliven(answer: nn.Conv2d, forward: Callable[[], Any], images: int) -> None:
    """Move an untrained detector's scores so that `ANSWERS` an image exceed the least score."""
    nn.init.normal_(answer.weight, std=0.01)
    seen: list[torch.Tensor] = []
    hook = answer.register_forward_hook(lambda *call: seen.append(call[2].detach().float().flatten()))
    with torch.no_grad():
        forward()
        hook.remove()
        logits = torch.cat(seen)
        last = logits.topk(min(ANSWERS * images, len(logits))).values[-1]
        answer.bias += math.log(LEAST_SCORE / (1 - LEAST_SCORE)) - last


def inference(fast: Mapping[str, Ours], published: Published | None, blocks: int) -> dict[str, float]:
    """From pixels on the device to boxes on the host, suppression included: medians over blocks."""
    sides: dict[str, Callable[[], float]] = {}
    for precision, ours in fast.items():
        for count in INFERENCE:
            sides[f"ours, {count}, {precision}"] = _answering(ours, precision, count)
    if published:
        image = published.ready[2][0]["img"].to(published.device)[:1].float()
        sides["published, 1"] = lambda: 1 / seconds(lambda: published.detect(image), published.device)
    return {name: median_interval(values)[0] for name, values in interleave(sides, blocks).items()}


def _answering(ours: Ours, precision: str, count: int) -> Callable[[], float]:
    network, device, config = ours.learner.network, ours.device, registry.own_input(ours.model)
    shapes = ours.photos.scenes.bucket
    of_one = (shapes == shapes.mode().values).nonzero().flatten()
    index = of_one[torch.arange(count) % len(of_one)]

    def answer() -> None:
        batch = boxed.gather(ours.scenes, index, device)
        images = boxed.normalise(batch, config)
        with torch.no_grad(), autocast(device, precision):
            logits, deltas = network.eval()(images)
        suppress(logits, deltas, network.anchors(images), batch.content, suppression(ours.recipe))

    return lambda: count / seconds(answer, device)
