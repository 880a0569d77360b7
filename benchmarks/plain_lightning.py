"""Study 4's plain recipe as a person writes it for Lightning's Trainer; needs Lightning. Beside `lightning_loop.py`."""

import os

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as T

from florilegium.config.recipes import Recipe

EPOCHS = 2  # of a block: one in which workers start, and one that is timed


class Plain(lightning.LightningModule):
    """Cross-entropy and top-1, tallied by epoch as the project's loop tallies them."""

    def __init__(self, network, recipe: Recipe) -> None:
        super().__init__()
        self.network, self.recipe = network.to(memory_format=torch.channels_last), recipe

    def training_step(self, batch, _):
        images, labels = batch
        logits = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, labels)
        top1 = (logits.argmax(1) == labels).float().mean()
        self.log_dict({"train_loss": loss, "train_top1": top1}, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(
            self.parameters(),
            lr=self.recipe.base_lr,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
        )


class Pictures(Dataset):
    """Single images out of uint8 (N, S, S, 3), prepared one by one."""

    def __init__(self, pixels, labels) -> None:
        self.pixels, self.labels = pixels.numpy(), labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int):
        return T.to_tensor(self.pixels[place]), self.labels[place]


def loader(pixels, labels, batch: int) -> DataLoader:
    workers = min(8, os.cpu_count() or 1)
    return DataLoader(
        Pictures(pixels, labels),
        batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
        pin_memory=torch.cuda.is_available(),
    )


class Clock(Callback):
    """Seconds of the last epoch, by `now`, which waits for the device."""

    def __init__(self, now) -> None:
        self.now, self.started, self.seconds = now, 0.0, 0.0

    def on_train_epoch_start(self, *_):
        self.started = self.now()

    def on_train_epoch_end(self, *_):
        self.seconds = self.now() - self.started


def seconds_of_epoch(module: Plain, batches, accelerator: str, precision: str, now) -> float:
    """Train for a block and tell how long its last epoch took."""
    clock = Clock(now)
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator=accelerator,
        devices=1,
        precision={"fp32": "32-true", "bf16": "bf16-mixed"}[precision],
        callbacks=[clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches)
    return clock.seconds
