"""The batches that the runs of an experiment put through a network.

Epochs and images are those of the plan: early stops, images that an audit drops, and memory that does not hold a batch
are not known yet.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from florilegium.config.base import parse
from florilegium.config.data import DataUse, DetectionData, Model, Sampling
from florilegium.config.experiment import TASKS
from florilegium.config.products import Attention, Attribution, Method
from florilegium.config.recipes import DetectionRecipe, GenerationRecipe, Recipe, TrainingRecipe
from florilegium.core.fingerprint import canonical
from florilegium.core.system import twelve_digits
from florilegium.data.decode import fit, padded
from florilegium.estimation.kernels import Network
from florilegium.evaluation.classification import EVALUATION_BATCH
from florilegium.evaluation.detection import BATCH as DETECTION_BATCH
from florilegium.explanation.attention import BATCH as ATTENTION_BATCH
from florilegium.explanation.attribution import BATCH as ATTRIBUTION_BATCH
from florilegium.explanation.attribution import WINDOWS
from florilegium.explanation.interpretation import BATCH as SCORING_BATCH
from florilegium.explanation.interpretation import POINTS, RANDOM
from florilegium.generation.sampling import BATCH as SAMPLING_BATCH
from florilegium.generation.sampling import steps_of
from florilegium.models import registry

Work = Literal["training", "tests", "finder", "features", "sampling", "judging", "attention", "attribution"]

# Seconds an image of work beside the network, measured on the host of an H200: suppression and COCO's scores (3.8 s
# a thousand images with a RetinaNet on ResNet-18, less its passes), and the noise of a sampled image (10,018
# images/s of an ACGAN, which has nothing else to wait for).
DETECTION_SECONDS = 2.7e-3
SAMPLING_SECONDS = 1e-4
SIDES = (3, 4)  # of a photograph, where its data set does not say


@dataclass(frozen=True)
class Passes:
    """`batches` of `batch` images, in each of `runs` runs."""

    work: Work
    network: Network
    task: str
    batch: int
    batches: int
    precision: str
    runs: int
    trains: bool = False
    host: float = 0.0
    """Seconds an image that the card waits for."""

    @property
    def images(self) -> int:
        """The images of one run."""
        return self.batch * self.batches


def passes_of(entry: dict[str, Any]) -> list[Passes]:
    """All passes of an experiment, as `plan.specs` describes it.

    Raises:
        UserError: a section that is no section of its task, or an image size that the network does not take.
    """
    kind = TASKS[entry["task"]]
    recipe = parse(kind.recipe, entry["recipe"], "recipe")
    data = parse(kind.data, entry["data"], "data")
    passes: dict[str, Callable[[dict[str, Any], Any, Any], Iterator[Passes]]]
    passes = {"classification": _classification, "detection": _detection, "generation": _generation}
    return [some for some in passes[entry["task"]](entry, recipe, data) if some.batches]


def over(passes: Passes, images: int, batch: int, times: int = 1) -> Passes:
    """`times` passes over `images` in batches of at most `batch`, each as large as the others."""
    each = math.ceil(images / batch)
    return replace(passes, batches=each * times, batch=math.ceil(images / each) if each else batch)


def counts(data: DataUse | DetectionData, images: dict[str, int]) -> tuple[int, int, int]:
    """Numbers of training, validation and test images; doubles that an audit drops are counted."""
    train, val, test = (sum(images.get(s, 0) for s in getattr(data, key)) for key in ("train", "val", "test"))
    if isinstance(data, DataUse) and data.holdout is not None:
        test = round(twelve_digits(train * data.holdout))
        return train - test, test, test
    return train, test if isinstance(data, DataUse) and data.choose_on_test else val, test


def _start(entry: dict[str, Any], recipe: TrainingRecipe, height: int, width: int) -> Passes:
    """Passes without a batch, from which all others of an experiment are made."""
    model = canonical(entry["model"])
    network = Network(model, entry["classes"], height, width, recipe.freeze, recipe.freeze_blocks)
    return Passes("tests", network, entry["task"], 1, 0, recipe.precision, entry["runs"])


def _training(start: Passes, recipe: TrainingRecipe, images: int) -> Passes:
    passes = replace(start, work="training", trains=True)
    micro = recipe.batch_size // recipe.accumulate
    if recipe.epoch_steps is None:
        return over(passes, images, micro, recipe.epochs)
    return replace(passes, batch=micro, batches=recipe.epochs * recipe.epoch_steps * recipe.accumulate)


def _tests(start: Passes, recipe: TrainingRecipe, val: int, test: int, batch: int) -> list[Passes]:
    """Validation in every epoch, and at the end the last weights and the best, in fp32."""
    last = replace(start, precision="fp32")
    return [over(start, val, batch, recipe.epochs), over(last, test, batch, 2 if recipe.select == "best" else 1)]


def _classification(entry: dict[str, Any], recipe: Recipe, data: DataUse) -> Iterator[Passes]:
    train, val, test = counts(data, entry["images"])
    if data.generated:
        train += round(twelve_digits(train * data.generated.share))
    side = registry.input_config(parse(Model, entry["model"], "model"), recipe).size
    start = _start(entry, recipe, side, side)
    whole = replace(start, network=replace(start.network, frozen=(), frozen_blocks=0))
    if entry["cached"]:
        seen = train + test + (0 if data.choose_on_test or data.holdout is not None else val)
        yield over(replace(whole, work="features", runs=entry["features"]), seen, EVALUATION_BATCH)
        start = whole = replace(start, network=replace(start.network, part="head"))
    yield _training(start, recipe, train)
    yield from _tests(whole, recipe, val, test, EVALUATION_BATCH)
    yield over(replace(whole, precision="fp32"), train, EVALUATION_BATCH)
    if entry["finder"]:
        micro = recipe.batch_size // recipe.accumulate
        steps = entry["finder"] * recipe.accumulate
        yield replace(start, work="finder", trains=True, batch=micro, batches=steps)
    yield from _explanations(entry, replace(whole, precision="fp32", runs=1), test)


def _explanations(entry: dict[str, Any], start: Passes, test: int) -> Iterator[Passes]:
    """Attention and attribution of the first seed's network, which is a whole one however it was trained."""
    start = replace(start, network=replace(start.network, part="whole"))
    if entry["attention"]:
        attention = parse(Attention, entry["attention"], "attention")
        seen = min(attention.images, test) + min(attention.shown, test)
        yield over(replace(start, work="attention"), seen, ATTENTION_BATCH)
    if entry["attribution"]:
        attribution = parse(Attribution, entry["attribution"], "attribution")
        start = replace(start, work="attribution")
        images = min(len(attribution.names) or attribution.images, test)
        for method in attribution.methods:
            yield over(replace(start, trains=True), gradients_of(method, attribution.steps), ATTRIBUTION_BATCH, images)
        if "occlusion" in attribution.methods:
            yield over(start, (2 * WINDOWS - 1) ** 2 + 1, ATTRIBUTION_BATCH, images)
        orders = len(attribution.methods) + len(RANDOM)
        yield over(start, 2 * (POINTS + 1), SCORING_BATCH, images * orders)


def gradients_of(method: Method, steps: int) -> int:
    """The number of gradients that a method takes to explain an image; integrated gradients may take twice as many."""
    many = {"smoothgrad": steps, "integrated_gradients": steps, "gradient_shap": steps, "deeplift": 2}
    none = ("occlusion", "attention_rollout")
    return 0 if method in none else many.get(method, 1)


def _detection(entry: dict[str, Any], recipe: DetectionRecipe, data: DetectionData) -> Iterator[Passes]:
    train, val, test = counts(data, entry["images"])
    start = _start(entry, recipe, *shape(data, entry["sides"] or SIDES))
    training = _training(start, recipe, train)
    if recipe.drop_last and train >= recipe.batch_size:
        training = replace(training, batches=train // recipe.batch_size * recipe.epochs)
    yield training
    yield from _tests(replace(start, host=DETECTION_SECONDS), recipe, val, test, DETECTION_BATCH)


def shape(data: DetectionData, sides: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image of such sides with its padding."""
    fitted = fit(*sides, data.short_side, data.long_side)
    return padded(fitted.height, data.padding), padded(fitted.width, data.padding)


def _generation(entry: dict[str, Any], recipe: GenerationRecipe, data: DataUse) -> Iterator[Passes]:
    train, val, test = counts(data, entry["images"])
    model = parse(Model, entry["model"], "model")
    side = registry.own_input(model).size
    start = _start(entry, recipe, side, side)
    yield _training(start, recipe, train)
    if model.name != "acgan":  # it predicts no noise that could be scored
        yield over(start, val, EVALUATION_BATCH, recipe.epochs)
        yield over(start, test, EVALUATION_BATCH)
    for name, values in entry["sets"].items():
        sampling = parse(Sampling, values, f"samples.sets.{name}")
        yield _sampling(replace(start, precision="fp32"), recipe, sampling)
        if entry["judge"]:
            yield _judging(entry, sampling)


def _sampling(start: Passes, recipe: GenerationRecipe, sampling: Sampling) -> Passes:
    """The passes of one set of samples. Guidance sends every image through twice, in one batch."""
    images = start.network.classes * sampling.per_class
    passes = over(replace(start, work="sampling"), images, SAMPLING_BATCH)
    if sampling.sampler == "direct":
        return replace(passes, network=replace(start.network, part="generator"), host=SAMPLING_SECONDS)
    steps, twice = steps_of(recipe, sampling), 2 if sampling.guidance else 1
    host = SAMPLING_SECONDS / steps / twice  # once an image, of which there are so many passes
    return replace(passes, batches=passes.batches * steps, batch=passes.batch * twice, host=host)


def _judging(entry: dict[str, Any], sampling: Sampling) -> Passes:
    """The passes of a set of samples through a classifier of real images."""
    judge = entry["judge"]
    recipe = parse(Recipe, judge["recipe"], "judge.recipe")
    side = registry.input_config(parse(Model, judge["model"], "judge.model"), recipe).size
    network = Network(canonical(judge["model"]), entry["classes"], side, side)
    passes = Passes("judging", network, "classification", 1, 0, "fp32", entry["runs"])
    return over(passes, entry["classes"] * sampling.per_class, EVALUATION_BATCH)
