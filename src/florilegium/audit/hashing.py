"""Perceptual hashes and thumbnails of images: all that an audit needs of the pixels.

pHash is that of the `imagehash` package, bit for bit: grey, 32 x 32 by Lanczos, DCT-II, and the
8 x 8 lowest frequencies held against their median. The original image is hashed: EXIF orientation is
not applied (the search looks for rotations itself) and nothing is cropped.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florilegium.audit.transforms import SIDE, pack_bits
from florilegium.core.errors import UserError
from florilegium.core.files import atomic
from florilegium.core.progress import bar

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm")
FLAT_SPREAD = 8  # grey levels between the darkest and the brightest pixel of a thumbnail
CHUNK = 64  # images that a worker takes at a time


@dataclass(frozen=True)
class Hashes:
    """What is kept of N images, in one order; `images` are paths inside the data set.

    `reliable` is False where pHash says nothing about the picture: a flat thumbnail, or so symmetric
    a one that coefficients tie with their median (a true pHash has 32 of its 64 bits set).
    """

    images: NDArray[np.str_]  # (N,)
    hash: NDArray[np.uint64]  # (N,)
    reliable: NDArray[np.bool_]  # (N,)
    grey: NDArray[np.uint8]  # (N, 32, 32), what pHash is made from
    thumb: NDArray[np.uint8]  # (N, 32, 32, 3), mean colours

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[np.intp]) -> "Hashes":
        """The images of `rows`, in that order."""
        return Hashes(
            self.images[rows], self.hash[rows], self.reliable[rows], self.grey[rows], self.thumb[rows]
        )

    def save(self, path: Path) -> None:
        """Write an .npz whose bytes depend on the content alone."""
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Hashes":
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


def is_image(path: Path | str) -> bool:
    """Whether a file's suffix is that of an image format which the audit reads."""
    return Path(path).suffix.lower() in SUFFIXES


def hash_images(
    root: Path, images: Sequence[str], *, workers: int = 1, corrupt: Literal["stop", "skip"] = "stop"
) -> tuple[Hashes, dict[str, str]]:
    """Hash `images` (paths below `root`) in `workers` processes of one thread each.

    Returns the hashes, sorted by image, and for each image that cannot be decoded the reason.
    Raises UserError that lists those images unless `corrupt` is `skip`, or if none is left.
    """
    names = sorted(images)
    chunks = [names[i : i + CHUNK] for i in range(0, len(names), CHUNK)]
    parts: list[Hashes] = []
    broken: dict[str, str] = {}
    for part, failed in _map(root, chunks, workers):
        parts.append(part)
        broken.update(failed)
    if broken and corrupt == "stop":
        shown = "; ".join(f"{image} ({reason})" for image, reason in list(broken.items())[:10])
        more = f"; and {len(broken) - 10} more" if len(broken) > 10 else ""
        raise UserError(
            f"{root}: {len(broken)} of {len(names)} images cannot be decoded: {shown}{more}; "
            "replace or remove them, or let them be skipped"
        )
    if len(broken) == len(names):
        raise UserError(f"{root}: none of the {len(names)} images can be decoded; give another folder")
    fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    return Hashes(**fields), broken


def _map(root: Path, chunks: list[list[str]], workers: int):  # type: ignore[no-untyped-def]
    workers = min(workers, len(chunks))
    if workers <= 1:
        yield from (hash_chunk((root, chunk)) for chunk in bar(chunks, "hashing", "chunk"))
        return
    # spawn: the parent may hold threads (BLAS, a trainer's), which a forked child must not inherit
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        results = pool.map(hash_chunk, [(root, chunk) for chunk in chunks])
        yield from (result for _, result in zip(bar(chunks, "hashing", "chunk"), results, strict=True))


def hash_chunk(task: tuple[Path, list[str]]) -> tuple[Hashes, dict[str, str]]:
    """Hash a few images in this process; a pure function, so that workers can run it."""
    root, images = task
    kept, greys, thumbs, hashes = [], [], [], []
    broken: dict[str, str] = {}
    for image in images:
        try:
            grey, thumb = thumbnails(root / image)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            broken[image] = str(error).replace(str(root), "").strip() or type(error).__name__
            continue
        kept.append(image)
        greys.append(np.asarray(grey))
        thumbs.append(np.asarray(thumb))
        hashes.append(imagehash.phash(grey).hash)
    n = len(kept)
    grey_array = np.array(greys, np.uint8).reshape(n, SIDE, SIDE)
    bits = pack_bits(np.array(hashes, np.bool_).reshape(n, 8, 8))
    spread = np.ptp(grey_array, axis=(1, 2))
    return Hashes(
        images=np.array(kept, np.str_),
        hash=bits,
        reliable=(np.bitwise_count(bits) == 32) & (spread >= FLAT_SPREAD),
        grey=grey_array,
        thumb=np.array(thumbs, np.uint8).reshape(n, SIDE, SIDE, 3),
    ), broken


def thumbnails(path: Path) -> tuple[Image.Image, Image.Image]:
    """The grey 32 x 32 thumbnail that pHash starts from, and one of mean colours.

    The grey one is made from the image in its own mode, as `imagehash.phash` does; a resize to the
    size that a picture already has changes nothing, so its pHash is that of the whole image.
    """
    with Image.open(path) as image:
        image.load()
        grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        colour = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return grey, colour
