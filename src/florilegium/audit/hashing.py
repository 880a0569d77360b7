"""Perceptual hashes of an image in its eight orientations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.core.files import atomic
from florilegium.data.decode import BadImage, check_skipped, decode, in_processes

NAMES = ("identity", "rotate90", "rotate180", "rotate270", "flip", "flip_rotate90", "flip_rotate180", "flip_rotate270")
IDENTITY = 0
SIDE = 32  # pixels of the thumbnail that pHash is made from
LOW = 8  # lowest frequencies that it keeps along each axis
FLAT_SPREAD = 8  # grey levels between the darkest and the brightest pixel of a thumbnail
CHUNK = 64  # images that a worker takes at a time


def apply(pictures: NDArray[np.uint8], transform: int) -> NDArray[np.uint8]:
    """Square pictures (N, S, S) or (N, S, S, 3) after the transform NAMES[`transform`]."""
    flipped, turns = divmod(transform, 4)
    return np.rot90(pictures[:, :, ::-1] if flipped else pictures, turns, axes=(1, 2))


def low_frequencies(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The 8 x 8 lowest coefficients, DC included, of the unnormalised 2-D DCT-II of (N, 32, 32)."""
    frequency, position = np.arange(LOW)[:, None], np.arange(SIDE)[None]
    basis = 2 * np.cos(np.pi * frequency * (2 * position + 1) / (2 * SIDE))  # (8, 32)
    return basis @ grey.astype(np.float64) @ basis.T  # type: ignore[no-any-return]


def transformed_hashes(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """pHash of each thumbnail (N, 32, 32) after each transform: (8, N), in the order of NAMES."""
    signs = np.where(np.arange(LOW) % 2, -1.0, 1.0)
    upright = low_frequencies(grey)
    hashes = []
    for coefficients in (upright, upright * signs):
        for _ in range(4):
            hashes.append(pack_bits(coefficients > np.median(coefficients, axis=(1, 2), keepdims=True)))
            coefficients = coefficients.swapaxes(1, 2) * signs[:, None]
    return np.stack(hashes)


def pack_bits(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """(N, 8, 8) bits to N integers, the first bit the most significant, as imagehash prints them."""
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(">u8").astype(np.uint64).ravel()


# The hashes of a data set


@dataclass(frozen=True)
class Hashes:
    """Hashes and thumbnails of N images, in one order; `images` are paths inside the data set.

    `reliable` is False where pHash says nothing about the picture: where the thumbnail is flat, or so
    symmetric that coefficients tie with their median (a valid pHash has 32 of its 64 bits set).
    """

    images: NDArray[np.str_]  # (N,)
    hash: NDArray[np.uint64]  # (N,)
    reliable: NDArray[np.bool_]  # (N,)
    grey: NDArray[np.uint8]  # (N, 32, 32), the input of pHash
    thumb: NDArray[np.uint8]  # (N, 32, 32, 3), mean colours

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[np.intp]) -> "Hashes":
        """The images of `rows`, in that order."""
        return Hashes(self.images[rows], self.hash[rows], self.reliable[rows], self.grey[rows], self.thumb[rows])

    def save(self, path: Path) -> None:
        """Write an .npz whose bytes depend on the content alone."""
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Hashes":
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})


def hash_images(
    root: Path,
    images: Sequence[str],
    *,
    workers: int = 1,
    corrupt: Literal["stop", "skip"] = "stop",
    pictures: Pictures = DEFAULT,
) -> tuple[Hashes, dict[str, str]]:
    """Hash `images` (paths below `root`), read as `pictures` says, in `workers` processes of one thread each.

    Returns the hashes, sorted by image, and for each image that cannot be decoded the reason.
    Raises UserError that lists those images unless `corrupt` is `skip`, or if none is left.
    """
    names = sorted(images)
    parts: list[Hashes] = []
    broken: dict[str, str] = {}
    tasks = [(root, names[i : i + CHUNK], pictures) for i in range(0, len(names), CHUNK)]
    for part, failed in in_processes(hash_chunk, tasks, workers, title="hashing", unit="chunk"):
        parts.append(part)
        broken.update(failed)
    check_skipped(root, len(names), broken, corrupt)
    fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    return Hashes(**fields), broken


def hash_chunk(task: tuple[Path, list[str], Pictures]) -> tuple[Hashes, dict[str, str]]:
    """The hashes of a few images below a root, and the reasons for those that cannot be decoded."""
    root, images, pictures = task
    thumbs: dict[str, tuple[Image.Image, Image.Image]] = {}
    broken: dict[str, str] = {}
    for image in images:
        try:
            thumbs[image] = thumbnails(decode(root / image, pictures))
        except BadImage as error:
            broken[image] = str(error)
    return hashes_of(thumbs), broken


def hashes_of(pictures: Mapping[str, tuple[Image.Image, Image.Image]]) -> Hashes:
    """The hashes of images, given by name as `thumbnails` makes them."""
    greys = np.array([np.asarray(grey) for grey, _ in pictures.values()], np.uint8).reshape(-1, SIDE, SIDE)
    thumbs = np.array([np.asarray(thumb) for _, thumb in pictures.values()], np.uint8)
    bits = np.array([imagehash.phash(grey).hash for grey, _ in pictures.values()], np.bool_)
    packed = pack_bits(bits.reshape(-1, LOW, LOW))
    reliable = (np.bitwise_count(packed) == LOW * LOW // 2) & (np.ptp(greys, axis=(1, 2)) >= FLAT_SPREAD)
    return Hashes(np.array(list(pictures), np.str_), packed, reliable, greys, thumbs.reshape(-1, SIDE, SIDE, 3))


def thumbnails(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The grey 32 x 32 thumbnail that pHash starts from, and one of mean colours, of an RGB image.

    Resizing an image to its own size changes nothing, so `imagehash.phash` of the grey thumbnail is that
    of the whole image.
    """
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return grey, image.resize((SIDE, SIDE), Image.Resampling.HAMMING)
