"""What generated images are worth: does a classifier of real ones know them, and are they copies?"""

from dataclasses import dataclass

import imagehash
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from florilegium.audit.hashing import FLAT_SPREAD, Hashes, thumbnails
from florilegium.audit.matching import search
from florilegium.audit.transforms import LOW, SIDE, pack_bits
from florilegium.audit.verification import confirm
from florilegium.core.audit_settings import Audit

CHUNK = 256


@dataclass(frozen=True)
class Nearest:
    """For each of N images the nearest of another set: its place (N,), and the mean squared difference of
    all their pixels in [0, 1] (N,)."""

    place: NDArray[np.int64]
    distance: NDArray[np.float64]


def nearest(images: Tensor, others: Tensor, device: torch.device) -> Nearest:
    """The nearest of uint8 `others` (M, S, S, 3) to each of `images` (N, S, S, 3)."""
    theirs = others.reshape(len(others), -1).to(device).float() / 255  # (M, D)
    squares = theirs.square().sum(1)
    places, distances = [], []
    for start in range(0, len(images), CHUNK):
        ours = images[start : start + CHUNK].reshape(-1, theirs.shape[1]).to(device).float() / 255
        found = torch.addmm(squares[None], ours, theirs.T, alpha=-2).min(
            1
        )  # without |ours|², which moves no minimum
        places.append(found.indices.cpu())
        distances.append(((ours - theirs[found.indices]).square().mean(1)).cpu())
    return Nearest(torch.cat(places).numpy(), torch.cat(distances).double().numpy())


def hashes_of(pixels: NDArray[np.uint8]) -> Hashes:
    """What an audit keeps of images (N, S, S, 3), which are named by their number."""
    pairs = [thumbnails(Image.fromarray(image)) for image in pixels]
    grey = np.stack([np.asarray(small) for small, _ in pairs]).reshape(-1, SIDE, SIDE)
    bits = np.stack([imagehash.phash(small).hash for small, _ in pairs])
    packed = pack_bits(bits.reshape(-1, LOW, LOW))
    return Hashes(
        images=np.array([str(number) for number in range(len(pixels))]),
        hash=packed,
        reliable=(np.bitwise_count(packed) == LOW * LOW // 2) & (np.ptp(grey, axis=(1, 2)) >= FLAT_SPREAD),
        grey=grey,
        thumb=np.stack([np.asarray(small) for _, small in pairs]),
    )


def copies(made: Hashes, trained: Hashes, settings: Audit) -> dict[int, str]:
    """The generated images that the audit calls the same picture as a training image, with its name."""
    candidates = search(trained, made, radius=settings.radius, dihedral=settings.dihedral)
    pairs = confirm(trained, made, candidates, settings)
    return {
        int(b): str(trained.images[a]) for a, b in zip(pairs.a[pairs.same], pairs.b[pairs.same], strict=True)
    }
