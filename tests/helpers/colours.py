"""A finished run of a network that tells red, green and blue pictures apart."""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.receipts import write_receipt
from florilegium.data.augment import EvalTransform
from florilegium.models import registry
from florilegium.models.weights import save

CLASSES = ("red", "green", "blue")
STORED, SIZE, PART = 24, 16, 16 / 18
MODEL = Model(name="resnet18", arguments={"channels": [4, 4, 8, 8]})


def picture(label: int, seed: int, side: int = STORED) -> np.ndarray:
    """Noise whose channel `label` is brighter, uint8 (side, side, 3)."""
    noise = np.random.default_rng(seed).integers(0, 120, (side, side, 3), dtype=np.uint8)
    noise[..., label] += 100
    return noise


def write_pictures(folder: Path, labels: dict[str, int]) -> None:
    """PNG files by name, such as `red/1.png`, each showing the colour of its label."""
    for seed, (name, label) in enumerate(labels.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(label, seed)).save(folder / name)


def make_run(folder: Path) -> Path:
    """Train for a second; the checkpoint, with its receipt beside it."""
    started = time.time()
    torch.set_num_threads(1)  # two threads wait for each other on a busy machine
    torch.manual_seed(0)
    recipe = Recipe(epochs=1, image_size=SIZE, crop_pct=PART)
    config = registry.input_config(MODEL, recipe)
    network = registry.build(MODEL, len(CLASSES))
    labels = torch.arange(24) % 3
    pixels = torch.from_numpy(np.stack([picture(int(k), 100 + i) for i, k in enumerate(labels)]))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(30):
        F.cross_entropy(network(EvalTransform(config)(pixels)), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    checkpoint = folder / "checkpoint.safetensors"
    save(network.state_dict(), checkpoint)
    write_receipt(
        folder / "receipt.json",
        stage="train",
        spec={"data": {"dataset": "colours", "storage_size": STORED}},
        code="0",
        inputs=[],
        outputs=[checkpoint],
        started=started,
        classes=list(CLASSES),
        input=asdict(config),
        model=MODEL.model_dump(mode="json"),
    )
    return checkpoint
