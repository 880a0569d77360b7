"""What is accepted in a configuration, and may be meant otherwise: said once for each command, and no mistake."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from florilegium.config.experiment import Experiment
from florilegium.config.layers import CONFIG, Configuration
from florilegium.config.study import Settings
from florilegium.config.words import shown
from florilegium.core.errors import UserError
from florilegium.core.system import gpu_wanted
from florilegium.plan.project_files import PRESETS


def remarks(settings: Settings, config: Configuration, built_in: set[str]) -> Iterator[str]:
    """A sentence for each; `built_in` are the names of the project's own studies."""
    processes = settings.gpus_per_training
    if processes > 1 and not gpu_wanted(settings.device):
        where = config.where(["gpus_per_training"])
        reason = "device = cpu" if settings.device == "cpu" else "this machine shows no GPU"
        yield f"{where}: gpus_per_training = {processes}: {reason}, so each training runs in {processes} processes"
    if settings.device == "cuda" and not gpu_wanted("auto"):
        where = config.where(["device"])
        yield f"{where}: device = cuda: this machine shows no NVIDIA GPU, and trainings need a machine that has one"
    if len(set(settings.studies)) < len(settings.studies):
        twice = next(name for name in settings.studies if settings.studies.count(name) > 1)
        yield f"{config.where(['studies'])}: studies: {twice} stands twice, and runs once"
    for own in settings.own_studies:
        if Path(own).stem in built_in:
            where = config.where(["own_studies"])
            yield f"{where}: own_studies: {own} takes the place of the project's own study {Path(own).stem}"


def idle_studies(preset: str, names: Iterable[str]) -> Iterator[str]:
    """A sentence for each study that a preset changes and whose file was taken out of the project."""
    for name in sorted(names):
        yield f"{PRESETS}/{preset}.yaml: studies: there is no study {name}, so its changes have no effect"


def idle_keys(experiments: Iterable[Experiment]) -> Iterator[str]:
    """A sentence for each key of a recipe that `config.yaml` sets and that has no effect beside the others."""
    said: set[str] = set()
    for e in experiments:
        values = e.recipe.model_dump(mode="json")
        for chooser, idle in e.recipe.IDLE.items():
            for key in idle.get(values[chooser], ()):
                place = e.place(f"recipe.{key}")
                if place.startswith(f"{CONFIG}: experiments.") and place not in said and f"recipe.{key}" in e.places:
                    said.add(place)
                    yield f"{place} has no effect beside {chooser} = {shown(values[chooser])}"


def check_processes(experiments: Sequence[Experiment], settings: Settings, config: Configuration) -> None:
    """Raise `UserError` for more processes of a training than its device is, or its micro-batches have images for.

    Each needs two images of a micro-batch, since one has no variance.
    """
    processes = settings.gpus_per_training
    if processes == 1:
        return
    place = f"{config.where(['gpus_per_training'])}: gpus_per_training = {processes}"
    if settings.device == "mps":
        raise UserError(f"{place}: a machine has one of Apple's GPUs (device = mps); set it to 1")
    small = [e for e in experiments if e.task != "generation" and _at_once(e) < 2 * processes]
    if small:
        others = f" and {len(small) - 1} more" if len(small) > 1 else ""
        raise UserError(
            f"{place}: {small[0].key}{others}: a micro-batch of {_at_once(small[0])} images has less than two for each "
            "process; lower gpus_per_training or recipe.accumulate, or raise recipe.batch_size"
        )


def _at_once(e: Experiment) -> int:
    """The images of a micro-batch."""
    return e.recipe.batch_size // e.recipe.accumulate
