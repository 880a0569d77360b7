"""What is accepted in a configuration, and may be meant otherwise: said once for each command, and no mistake."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from florilegium.config.experiment import Experiment
from florilegium.config.layers import CONFIG, Configuration
from florilegium.config.study import Settings
from florilegium.config.words import shown
from florilegium.core.system import gpu_wanted


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
