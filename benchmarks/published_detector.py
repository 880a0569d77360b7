"""The published detector code, from a checkout, in training and evaluation; none of it is here."""

import importlib
import random
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from functools import cached_property, partial
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from detector_sides import Photographs, longest
from torch.utils.data import DataLoader
from torchvision import transforms

WORKERS, PREFETCHED = 2, 2  # as published, and torch's default for each worker


class Published:
    """A network of the published code and the photographs that it learns from.

    Their code asks torch for a GPU by itself, so the device must be the one that it finds.
    """

    def __init__(self, checkout: Path, photos: Photographs, depth: int, short_side: int, device: torch.device) -> None:
        sys.path.insert(0, str(checkout.resolve()))
        self.data, self.models, self.evaluate = (
            importlib.import_module(f"retinanet.{name}") for name in ("dataloader", "model", "eval")
        )
        self.root, self.device = photos.root, device
        self.resizer = partial(self.data.Resizer(), min_side=short_side, max_side=longest(short_side))
        torch.manual_seed(0)
        random.seed(0)
        build = getattr(self.models, f"resnet{depth}")
        self.network = build(num_classes=len(photos.truth["categories"])).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4)
        self.losses: list[float] = []

    def dataset(self, *augmentations: Any) -> Any:
        steps = [self.data.Normalizer(), *augmentations, self.resizer]
        with redirect_stdout(StringIO()):
            return self.data.CocoDataset(str(self.root), "train", transform=transforms.Compose(steps))

    def loader(self, batch: int) -> DataLoader:
        data = self.dataset(self.data.Augmenter())
        sampler = self.data.AspectRatioBasedSampler(data, batch_size=batch, drop_last=False)
        return DataLoader(data, num_workers=WORKERS, collate_fn=self.data.collater, batch_sampler=sampler)

    def start(self, steps: int) -> None:
        """Start the workers, and learn from what they have ready before a block, so that none is a gift."""
        self.loading = iter(self.loader(2))
        self.learn(min(WORKERS * PREFETCHED, steps))

    def learn(self, steps: int) -> None:
        with as_published():
            for _ in range(steps):
                self.step(next(self.loading))

    def learn_ready(self, batch: int, images: int) -> None:
        with as_published():
            for number in range(images // batch):
                self.step(self.ready[batch][number % len(self.ready[batch])])

    @cached_property
    def ready(self) -> "Ready":
        return Ready(self)

    def step(self, batch: dict[str, torch.Tensor]) -> None:
        self.network.training = True
        self.network.train()
        self.network.freeze_bn()
        self.optimizer.zero_grad()
        images, objects = batch["img"].to(self.device).float(), batch["annot"].to(self.device)
        loss = sum(part.mean() for part in self.network([images, objects]))
        if bool(loss == 0):
            return
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 0.1)
        self.optimizer.step()
        self.losses += [loss.item(), loss.item()]  # the host waits for each, as it does there

    def first_batch(self) -> Any:
        return next(iter(self.loader(2)))["img"].to(self.device)

    def detect(self, images: torch.Tensor) -> Any:
        self.network.training = False
        self.network.eval()
        self.network.training = False
        with torch.no_grad(), as_published():
            return self.network(images)

    def score(self, count: int) -> None:
        """Their evaluation of the first `count` images, which writes its results into the working directory."""
        data = self.dataset()
        data.image_ids = data.image_ids[:count]
        with as_published(), chdir(self.root), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            self.network.training = False
            self.evaluate.Evaluation().evaluate(data, self.network)


class Ready(dict[int, list[Any]]):
    """Batches on the host by their size, loaded when first asked for."""

    def __init__(self, of: Published) -> None:
        self.of = of

    def __missing__(self, batch: int) -> list[Any]:
        data = self.of.dataset(self.of.data.Augmenter())
        groups = self.of.data.AspectRatioBasedSampler(data, batch_size=batch, drop_last=False).groups
        step = max(1, len(groups) // 2)
        self[batch] = [self.of.data.collater([data[n] for n in group]) for group in groups[::step]]
        return self[batch]


@contextmanager
def as_published() -> Iterator[None]:
    """The choice of kernels that the published code makes; ours asks for more repeatable ones."""
    cudnn = torch.backends.cudnn
    before = (torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark)
    torch.use_deterministic_algorithms(False)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=True)
        cudnn.deterministic, cudnn.benchmark = before[1:]
