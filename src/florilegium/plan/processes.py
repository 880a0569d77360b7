"""The processes of one training: whether the device, and the micro-batches, have room for them."""

from collections.abc import Sequence

from florilegium.config.experiment import Experiment
from florilegium.config.layers import Configuration
from florilegium.config.study import Settings
from florilegium.core.errors import UserError


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
