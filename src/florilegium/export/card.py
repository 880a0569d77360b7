"""The model card of a network that is handed on (Mitchell et al. 2019, "Model Cards for Model Reporting")."""

from collections.abc import Iterator
from typing import Any

from florilegium.core.errors import counted, some
from florilegium.export.facts import Facts, Score
from florilegium.report.tables import inline

TITLES = {"top1": "top-1 accuracy", "AP": "average precision (COCO)"}
RECIPE = ("epochs", "batch_size", "optimizer", "lr", "schedule", "weight_decay", "freeze", "freeze_blocks", "precision")
SHOWN_CLASSES = 200
SQUARE = """\
Every picture is filled up to one square. `predict` fills up to the next multiples of 32 alone, so that scores near the
edges, and all scores of a network with group normalisation, may differ a little."""
DEMO = "**DEMO**: trained on rendered pictures; it shows a workflow and is of no use on photographs."
ONNX_CLASSIFIER = """\
import json
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

network = onnxruntime.InferenceSession("model.onnx")
told = network.get_modelmeta().custom_metadata_map
classes, how = json.loads(told["classes"]), json.loads(told["preprocessing"])
picture = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
picture = ImageOps.fit(picture, (how["resize"], how["resize"]), Image.Resampling[how["interpolation"].upper()])
edge = round((how["resize"] - how["crop"]) / 2)
pixels = np.asarray(picture, np.float32)[edge : edge + how["crop"], edge : edge + how["crop"]] / 255
pixels = (pixels - np.float32(how["mean"])) / np.float32(how["std"])
(logits,) = network.run(["logits"], {"images": pixels.transpose(2, 0, 1)[None]})
chances = np.exp(logits[0] - logits[0].max())
print(classes[chances.argmax()], chances.max() / chances.sum())"""
ONNX_DETECTOR = """\
import json
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

network = onnxruntime.InferenceSession("model.onnx")
told = network.get_modelmeta().custom_metadata_map
classes, how, rule = (json.loads(told[key]) for key in ("classes", "preprocessing", "outputs"))
picture = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
scale = min(how["short_side"] / min(picture.size), how["long_side"] / max(picture.size))
small = picture.resize([max(round(side * scale), 1) for side in picture.size], Image.Resampling.BILINEAR)
pixels = (np.asarray(small, np.float32) / 255 - np.float32(how["mean"])) / np.float32(how["std"])
images = np.zeros((1, 3, how["side"], how["side"]), np.float32)
images[0, :, : small.height, : small.width] = pixels.transpose(2, 0, 1)
boxes, scores = (answer[0] for answer in network.run(["boxes", "scores"], {"images": images}))
found = []  # the likeliest first, without those that a likelier one of the class overlaps
for place in np.argsort(scores, axis=None)[::-1][: rule["suppression"]["before"]]:
    anchor, label = np.unravel_index(place, scores.shape)
    box = np.clip(boxes[anchor], 0, [small.width, small.height] * 2)
    area = lambda b: np.prod(np.maximum(b[2:] - b[:2], 0))
    shared = lambda b: area(np.append(np.maximum(b[:2], box[:2]), np.minimum(b[2:], box[2:])))
    overlap = [shared(b) / (area(b) + area(box) - shared(b)) for _, k, b in found if k == label]
    if scores[anchor, label] > 0.5 and area(box) and max(overlap, default=0) <= rule["suppression"]["iou"]:
        found.append((scores[anchor, label], label, box))
for score, label, box in found:
    print(classes[label], score, *(box / scale).round(1))"""
TIMM = """\
import timm
import torch
from PIL import Image, ImageOps

network = timm.create_model("local-dir:.", pretrained=True).eval()  # the path of this folder after the colon
prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
picture = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
with torch.inference_mode():
    chances = network(prepare(picture)[None]).softmax(1)[0]
print(network.pretrained_cfg["label_names"][chances.argmax()], chances.max().item())"""
PROGRAMS = {("onnx", "classification"): ONNX_CLASSIFIER, ("onnx", "detection"): ONNX_DETECTOR}


def card(facts: Facts, form: str, difference: float | None = None) -> str:
    """The card as Markdown.

    Args:
        form: what was written, `onnx` or `timm`.
        difference: the largest one between answers in onnxruntime and in torch.
    """
    network, data = facts.receipt["model"]["name"], facts.receipt["spec"]["data"]["dataset"]
    kind = "image-classification" if facts.task == "classification" else "object-detection"
    parts = [
        f"---\nlibrary_name: {form}\npipeline_tag: {kind}\n---",
        f"# {inline(network)}, trained on {inline(data)}",
        *([DEMO] if facts.rendered else []),
        _bullets(_what(facts)),
        "## Use",
        f"```python\n{PROGRAMS.get((form, facts.task), TIMM)}\n```",
        *([_agreement(difference)] if difference is not None else []),
        *([SQUARE] if facts.task == "detection" else []),
        "## Data",
        _bullets(_data(facts)),
        "## Results",
        _bullets(_results(facts)),
        "## Not for",
        _bullets(_not_for(facts)),
        "## Origin",
        _bullets(_origin(facts)),
    ]
    return "\n\n".join(parts) + "\n"


def _bullets(lines: Iterator[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _agreement(difference: float) -> str:
    return (
        f"Its answers in onnxruntime differ from those in torch by at most {difference:.1g}, on batches of two sizes. "
        "A batch may have any number of pictures."
    )


def _what(facts: Facts) -> Iterator[str]:
    receipt = facts.receipt
    classes, size = receipt["classes"], receipt["input"]["size"]
    does = "One of these classes for a picture" if facts.task == "classification" else "Objects of these classes"
    yield f"{does}: {inline(some(classes, SHOWN_CLASSES))} ({len(classes)})."
    if facts.task == "classification":
        yield f"Input: {size} × {size} pixels, RGB, upright, the middle of the picture."
    arguments = receipt["model"].get("arguments")
    yield f"Network: {inline(receipt['model']['name'])}" + (f" with {inline(_pairs(arguments))}." if arguments else ".")
    for first in facts.first:
        yield f"Started from {inline(first)}."
    if recipe := receipt["spec"].get("recipe"):
        yield f"Trained with {inline(_pairs({key: recipe[key] for key in RECIPE if recipe.get(key)}))}."


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _data(facts: Facts) -> Iterator[str]:
    use = facts.receipt["spec"]["data"]
    splits = ", ".join(f"{count:,} to {_purpose(split)}" for split, count in facts.images.items())
    yield f"Data set: {inline(use['dataset'])}" + (f": {splits}, before any was left out." if splits else ".")
    if use.get("holdout"):
        yield f"Validation and test images are a seeded part of all, {use['holdout']:g} of them."
    for left in facts.left_out:
        which = f"audit {inline(left.audit.replace('__', ' and '))}"
        if left.count is None:
            yield f"Leaks dropped: the list of {which} is not here any more."
        else:
            images = f"{counted(left.count, 'image')} of {inline(left.dataset)}"
            yield f"Leaks dropped from what it was trained on: {images} ({which})."
    if not facts.left_out:
        yield "No leak audit stands behind this run: pictures of the test set may be among those it was trained on."
    if use.get("generated"):
        yield f"Generated pictures were added, {use['generated']['share']:g} times as many as real ones."
    for title, terms in facts.terms.items():
        yield f"Terms of {inline(title)}, which may hold for the network, too: {inline(terms)}"


def _purpose(split: str) -> str:
    return {"train": "train on", "val": "validate on", "test": "test on"}[split]


def _results(facts: Facts) -> Iterator[str]:
    score, use = facts.score, facts.receipt["spec"]["data"]
    if score is None:
        yield "The metrics of the run are not beside its checkpoint; `florilegium evaluate` measures it anew."
        return
    yield f"{TITLES[score.name]}: {_figure(score)}."
    if score.others:
        values = ", ".join(f"{100 * other:.1f} %" for other in score.others)
        yield f"Other seeds of the same arm: {values}. The interval above counts images alone."
    else:
        yield "One seed: how much other seeds differ is not known, and the interval counts images alone."
    if use.get("choose_on_test"):
        yield "The best epoch was chosen on the test images, so that the figure flatters."
    for warning in facts.receipt.get("warnings", ()):
        yield f"Warning: {inline(warning)}."


def _figure(score: Score) -> str:
    interval = ""
    if score.interval is not None:
        low, high = score.interval
        interval = f", 95 % interval {100 * low:.1f} to {100 * high:.1f} %"
    return f"{100 * score.value:.1f} % on n = {counted(score.n_test, 'test image')}{interval}"


def _not_for(facts: Facts) -> Iterator[str]:
    data = inline(facts.receipt["spec"]["data"]["dataset"])
    if facts.rendered:
        yield "Photographs, or anything else but a try: its pictures are rendered."
    yield f"Pictures unlike those of {data} (another camera, place or season): the figures hold for its test set."
    if facts.task == "classification":
        yield "Pictures that show none of its classes: it names one of them all the same."
    else:
        yield "Objects of other classes, or much larger or smaller than those that it was trained on."
    yield f"Its probabilities as they stand: they are not calibrated.{_calibration(facts.score)}"
    yield "Decisions about people, health, safety or law without a test of your own, on pictures of your own."
    yield "Series of photographs of one object: the audit finds copies and cuts of a photograph, not its neighbours."


def _calibration(score: Score | None) -> str:
    if score is None or score.calibration is None:
        return ""
    temperature, error, calibrated = score.calibration
    return (
        f" Divide the logits by {temperature:.3g}, the temperature that fits its validation images: the expected "
        f"calibration error on the test images is {100 * calibrated:.1f} % then, and {100 * error:.1f} % without."
    )


def _origin(facts: Facts) -> Iterator[str]:
    receipt = facts.receipt
    yield f"Run: {inline('/'.join(facts.name))}" + (f", seed {receipt['seed']}." if "seed" in receipt else ".")
    commit = (receipt["git"]["commit"] or "no repository")[:12] + (", edited since" if receipt["git"]["dirty"] else "")
    yield f"Florilegium, commit {commit}; code {receipt['code']}; device {receipt.get('device', 'unknown')}."
    yield f"Versions: {_pairs(receipt['versions'])}."
    yield f"Checkpoint: sha256 {_sha(receipt['outputs'])}."
    for name, entry in receipt["inputs"].items():
        yield f"Made from {inline(name)}: sha256 {entry['sha256']}."


def _sha(outputs: dict[str, Any]) -> str:
    return next(str(entry["sha256"]) for name, entry in outputs.items() if name.endswith(".safetensors"))
