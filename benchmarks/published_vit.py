"""The published code of study 3, timed from outside: its own model, its own `train`, its own loader of images.

It is a checkout of RescaleViT (itself a fork of jeonsworld's ViT-pytorch) that a person has fetched; nothing of it is
part of this project. Nothing in it is changed. What it imports and is not here is stood in for while it runs: apex by
`apex_stand_in`, its configuration dictionary by one with attributes, its log by the clock that times the steps,
and the images of CIFAR-10 by as many random ones, which cost the same.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torchvision
from apex_stand_in import Amp
from PIL import Image

MODELS = {"norm_vit_b16": "ViT-B_16", "norm_vit_b32": "ViT-B_32"}
NORMS = {"ln": "LN", "bn": "BN", "gn": "GN", "rescale": "Rescale"}
IMAGES = 50_000


class Attributes(dict):
    """A dictionary whose keys are attributes, too."""

    __getattr__, __setattr__, __delattr__ = dict.__getitem__, dict.__setitem__, dict.__delitem__


class RandomCifar(torch.utils.data.Dataset):
    """As many random images of 32 pixels as CIFAR-10 has to train on, behind the signature of torchvision's class."""

    def __init__(self, root: str, train: bool, download: bool, transform: Any) -> None:
        generator = np.random.default_rng(0)
        self.pixels = generator.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
        self.transform = transform

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), index % 10


class Clock:
    """Stands for TensorBoard's writer: a step is over when its loss is logged, for which it has been waited."""

    times: list[float]

    def __init__(self, log_dir: str) -> None:
        Clock.times = []

    def add_scalar(self, name: str, scalar_value: Any, global_step: int) -> None:
        if name == "train/loss":
            Clock.times.append(time.perf_counter())

    def close(self) -> None:
        pass


def train_for(
    checkout: Path,
    model: str,
    norm: str,
    *,
    precision: str,
    size: int,
    batch: int,
    steps: int,
    own_loader: bool,
    device: torch.device,
) -> list[float]:
    """Seconds of each of `steps` steps, less the first, which starts workers and chooses kernels.

    Args:
        precision: fp32, or fp16 as the study ran it.
        own_loader: with its own four workers and transforms; else one batch that lies on the device.
    """
    with published(checkout) as train, tempfile.TemporaryDirectory() as folder, quiet():
        options = argparse.Namespace(
            name="timed", dataset="cifar10", model_type=MODELS[model], norm_type=NORMS[norm], pretrained_dir=None,
            img_size=size, train_batch_size=batch, eval_batch_size=512, eval_every=steps + 1, output_dir=folder,
            learning_rate=0.05, weight_decay=0.0, num_steps=steps, decay_type="cosine", warmup_steps=500,
            max_grad_norm=1.0, local_rank=-1, seed=42, gradient_accumulation_steps=1, fp16=precision == "fp16",
            fp16_opt_level="O2", device=device, n_gpu=int(device.type == "cuda"),
        )  # fmt: skip
        if not own_loader:
            images = torch.randn(batch, 3, size, size, device=device)
            labels = torch.arange(batch, device=device) % 10
            train.get_loader = lambda _: ([(images, labels)] * steps, None)
        train.train(*train.setup(options))
    return [b - a for a, b in zip(Clock.times, Clock.times[1:], strict=False)]


@contextmanager
def published(checkout: Path) -> Iterator[ModuleType]:
    """The checkout's module `train`, imported anew, with all that it needs; afterwards nothing of it is left."""
    before, cifar = set(sys.modules), torchvision.datasets.CIFAR10
    hidden = {name: sys.modules.pop(name) for name in ("torch.utils.tensorboard",) if name in sys.modules}
    stand_in("apex", amp=Amp())
    stand_in("apex.parallel", DistributedDataParallel=None)
    stand_in("torch.utils.tensorboard", SummaryWriter=Clock)
    stand_in("utils.vis_utils", vis_attn=None, vis_acc_loss=None)
    if find_spec("ml_collections") is None:
        stand_in("ml_collections", ConfigDict=Attributes)
    torchvision.datasets.CIFAR10 = RandomCifar
    sys.path.insert(0, str(checkout))
    try:
        yield import_module("train")
    finally:
        sys.path.remove(str(checkout))
        torchvision.datasets.CIFAR10 = cifar
        for name in set(sys.modules) - before:
            if name.split(".")[0] in ("apex", "models", "utils", "train", "ml_collections"):
                del sys.modules[name]
        sys.modules.pop("torch.utils.tensorboard", None)
        sys.modules.update(hidden)


def stand_in(name: str, **contents: Any) -> None:
    module = ModuleType(name)
    vars(module).update(contents)
    sys.modules[name] = module


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and parameter counts that the study's code prints."""
    with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
        yield
