"""The end of a run with averaged weights: the network takes them over, with statistics of their own."""

import time

import torch
from torch import nn

from florilegium.core.system import say
from florilegium.evaluation.precision import autocast
from florilegium.models.freeze import train_mode
from florilegium.training.learner import Learner, micro_batches
from florilegium.training.progress import Progress, snapshot
from florilegium.training.seeding import seed_step
from florilegium.training.task import Task


@torch.no_grad()
def finish_average(learner: Learner, task: Task, progress: Progress, seed: int) -> None:
    """Replace the last weights by their average, unless the run ended before averaging began.

    The running statistics of batch normalisation belong to no averaged network, so they are computed again in
    one pass over the training images, augmented as in an epoch.
    """
    assert learner.swa
    if not learner.swa.n_averaged:
        return
    started = time.perf_counter()
    for parameter, mean in zip(learner.network.parameters(), learner.swa.module.parameters(), strict=True):
        parameter.copy_(mean)
    take_statistics(learner, task, len(progress.history), seed)
    progress.last = snapshot(learner.network)
    progress.validating += time.perf_counter() - started
    say(f"the weights of {int(learner.swa.n_averaged)} epochs are averaged")


@torch.no_grad()
def take_statistics(learner: Learner, task: Task, epoch: int, seed: int) -> None:
    """Set the running statistics of every batch normalisation that trains to the mean over an epoch's batches."""
    train_mode(learner.network)
    norms = [module for module in learner.network.modules() if _has_running_statistics(module)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
    for step, index in enumerate(task.batches(epoch)):
        seed_step(seed, epoch, step)
        prepared = task.objective.prepare(task.feed(index))
        for part in micro_batches(len(index), learner.micro_batch):
            with autocast(learner.device, learner.recipe.precision):
                task.objective.loss(learner.network, prepared, part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _has_running_statistics(module: nn.Module) -> bool:
    batch_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
    return batch_norm and module.training and module.running_mean is not None
