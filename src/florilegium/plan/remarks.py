"""What is accepted in a configuration, and may be meant otherwise: said once for each command, and no mistake."""

from collections.abc import Iterator
from pathlib import Path

from florilegium.config.layers import Configuration
from florilegium.config.study import Settings
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
