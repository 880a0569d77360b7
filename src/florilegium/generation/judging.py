"""Generated images beside real ones: nearest neighbours and copies."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from florilegium.audit.hashing import Hashes, hashes_of, thumbnails
from florilegium.audit.matching import search
from florilegium.audit.verification import confirm
from florilegium.core.audit_settings import Audit

CHUNK = 256


@dataclass(frozen=True)
class Nearest:
    """For each of N images the nearest of another set: its index (N,), and the mean squared difference of
    their pixels in [0, 1] (N,)."""

    place: NDArray[np.int64]
    distance: NDArray[np.float64]


def nearest(images: Tensor, others: Tensor, device: torch.device) -> Nearest:
    """The nearest of uint8 `others` (M, S, S, 3) to each of `images` (N, S, S, 3)."""
    theirs = others.reshape(len(others), -1).to(device).float() / 255  # (M, D)
    squares = theirs.square().sum(1)
    places, distances = [], []
    for start in range(0, len(images), CHUNK):
        ours = images[start : start + CHUNK].reshape(-1, theirs.shape[1]).to(device).float() / 255
        # Without |ours|², which does not change the minimum.
        index = torch.addmm(squares[None], ours, theirs.T, alpha=-2).min(1).indices
        places.append(index.cpu())
        distances.append(((ours - theirs[index]).square().mean(1)).cpu())
    return Nearest(torch.cat(places).numpy(), torch.cat(distances).double().numpy())


def copies(made: NDArray[np.uint8], trained: Hashes, settings: Audit) -> dict[int, str]:
    """Indices of the generated images, of (N, S, S, 3), that the audit finds to be copies of training images, with
    the names of these."""
    hashes = hashes_of({str(k): thumbnails(Image.fromarray(image)) for k, image in enumerate(made)})
    candidates = search(trained, hashes, radius=settings.radius, dihedral=settings.dihedral)
    pairs = confirm(trained, hashes, candidates, settings)
    return {
        int(b): str(trained.images[a]) for a, b in zip(pairs.a[pairs.same], pairs.b[pairs.same], strict=True)
    }
