"""What a study will cost: in hours of a GPU as estimated, and in hours of this machine as a few steps take here."""

import time
from dataclasses import replace

import torch

from florilegium.config.data import DetectionData
from florilegium.config.experiment import Experiment
from florilegium.config.recipes import Recipe
from florilegium.data.decode import padded
from florilegium.estimation.hours import HOURS, table_of
from florilegium.models import registry
from florilegium.own.found import Found
from florilegium.plan.plan import Plan
from florilegium.plan.specs import estimated
from florilegium.training.machine import pick_device

BATCH = 4  # pictures a step
STEPS = 2  # that are timed, after one that is not
GIGA = 1e9
AROUND = 1.25  # validation, tests, reading and start-up beside the steps


def costs(plan: Plan, found: Found, study: str) -> list[str]:
    """Lines that say what the trainings of `study` on the data set of that name will take; none where somebody has
    taken them out."""
    of_study = tuple(e for e in plan.of(study) if e.data.dataset == study and e.task != "generation")
    if not of_study:
        return []
    runs = sum(len(e.seeds) for e in of_study)
    device = pick_device(plan.settings.device)
    seen = {e.key: e.recipe.epochs * found.images["train"] * len(e.seeds) for e in of_study}
    hours = AROUND * sum(seen[e.key] * seconds_per_picture(e, len(found.classes), device) for e in of_study) / 3600
    table = table_of(estimated(_counted(plan, found, of_study)), plan.settings.estimates)
    low, high = (_hours(table[key].sum()) for key in HOURS[1:])
    disk = (table["packed_bytes"].max() + 4 * (table["params"] * table["runs"]).sum()) / GIGA
    where = "processor core" if device.type == "cpu" else "GPU"
    return [
        f"{runs} trainings see {sum(seen.values()):,} pictures: about {_hours(hours)} of one {where} here, as "
        f"just measured (as many trainings run at once as there are {where}s)",
        f"on one {plan.settings.estimates.name}: {low} to {high}; disk: {max(disk, 0.1):.1f} GB",
    ]


def seconds_per_picture(e: Experiment, n_classes: int, device: torch.device) -> float:
    """Of a training step of the experiment, as it takes here, on pictures of noise."""
    threads = torch.get_num_threads()
    height, width = _sides(e)
    batch = min(e.recipe.batch_size, BATCH)
    torch.set_num_threads(e.recipe.threads)
    try:
        network = registry.build(e.model, n_classes).to(device)
        images = torch.randn(batch, 3, height, width, device=device)
        for step in range(1 + STEPS):
            if step == 1:
                started = time.perf_counter()
            outputs = network(images)
            sum(output.square().mean() for output in (outputs if isinstance(outputs, tuple) else (outputs,))).backward()
            if device.type == "cuda":
                torch.cuda.synchronize()
        return (time.perf_counter() - started) / (STEPS * batch)
    finally:
        torch.set_num_threads(threads)


def _sides(e: Experiment) -> tuple[int, int]:
    """Height and width of what the network sees."""
    if isinstance(data := e.data, DetectionData):
        return padded(data.short_side, data.padding), padded(data.long_side, data.padding)
    assert isinstance(e.recipe, Recipe), "a generator's network sees no pictures"
    size = registry.input_config(e.model, e.recipe).size
    return size, size


def _counted(plan: Plan, found: Found, experiments: tuple[Experiment, ...]) -> Plan:
    """The plan of these experiments alone, on a data set that says how many pictures it has."""
    name = experiments[0].data.dataset
    known: dict[str, object] = {"images": found.images, "classes": found.classes}
    if isinstance(data := experiments[0].data, DetectionData):
        known["sides"] = (data.short_side, data.long_side)
    dataset = plan.datasets[name].model_copy(update=known)
    return replace(plan, datasets={**plan.datasets, name: dataset}, experiments=experiments)


def _hours(hours: float) -> str:
    """Hours in words, none of them finer than the estimate."""
    minutes = round(60 * hours)
    return f"{hours:,.1f} hours" if minutes >= 90 else f"{max(minutes, 1)} min"
