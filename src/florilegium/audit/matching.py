"""Pairs of images that show the same picture: those near in hash, confirmed on the pixels of thumbnails."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from florilegium.audit.hashing import Hashes, apply
from florilegium.audit.search import Candidates
from florilegium.config.products import Audit

CHUNK = 4096  # pairs whose pixels are compared at once: 24 MiB
PLAIN = 12  # grey levels by which the pixels of a frame of one colour differ at most
AROUND = 5  # pixels of a side of the square around a pixel: the detail of it is the difference from the mean there
FAINT = 40.0  # squared grey levels of detail, summed over channels, below which a place counts less than others
UNFRAMED = 0.75  # least part inside of a common frame of pictures that are compared by detail, which the frame has, too
RECOLOURED = 0.25  # most of a recoloured copy's detail that no mix of the other's channels explains: 0.7 for others


@dataclass(frozen=True)
class Pairs:
    """Each pair once, under the transform that brings its pictures nearest."""

    a: NDArray[np.intp]  # (P,) rows of a
    b: NDArray[np.intp]  # (P,) rows of b
    transform: NDArray[np.intp]  # (P,) indices into NAMES
    hash_distance: NDArray[np.uint8]  # (P,)
    pixel_distance: NDArray[np.float64]  # (P,) in [0, 1]
    contrast_share: NDArray[np.float64]  # (P,) of the summed variances; near 1 for unrelated pictures
    same: NDArray[np.bool_]  # (P,) True if both show the same picture


def confirm(a: Hashes, b: Hashes, candidates: Candidates, settings: Audit) -> Pairs:
    """Each pair under its best transform; it shows the same picture when its pixels are near enough.

    Near in terms of a fixed threshold, and of the thumbnails' own contrast: pale pictures, such as small things in a
    blue sky, are near each other whatever they show, and flat ones are the same only when equal. Both must hold inside
    of a common frame, too. Those that are not near are the same when they are `recoloured`. The best transform has the
    smallest pixel distance, then the smallest hash distance, then the first name. Pairs come in order of their rows.
    """
    pixels = pixel_distances(a, b, candidates).round(6)
    order = np.lexsort((candidates.transform, candidates.distance, pixels, candidates.b, candidates.a))
    best = order[firsts(candidates.a[order], candidates.b[order])]
    rows_a, rows_b, pixels = candidates.a[best], candidates.b[best], pixels[best]
    contrast = variances(a, rows_a) + variances(b, rows_b)
    share = np.divide(pixels, contrast, out=np.zeros(len(best)), where=contrast > 0)
    distance = candidates.distance[best]
    near = distance <= settings.radius  # a proven crop may be beyond
    same = near & (pixels <= settings.pixel_threshold) & (share <= settings.contrast_share)
    transform = candidates.transform[best]
    doubtful = np.flatnonzero(near & ~same)
    coloured = doubtful[recoloured(a, b, rows_a[doubtful], rows_b[doubtful], transform[doubtful])]
    for pair in [*np.flatnonzero(same), *coloured]:
        picture = turned(a.thumb[rows_a[[pair]]], transform[[pair]])[0]
        both = np.stack([picture, b.thumb[rows_b[pair]]]).astype(np.float64)  # (2, S, S, 3)
        inside = without_frame(both)
        same[pair] = is_alike_inside(both, inside, settings) if same[pair] else inside.size > UNFRAMED * both.size
    return Pairs(rows_a, rows_b, transform, distance, pixels, share, same)


def firsts(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """(P,) True where a pair of rows is another one than that before it."""
    rows = np.stack([a, b])
    return np.append(True, (rows[:, 1:] != rows[:, :-1]).any(axis=0))[: len(a)]


def pixel_distances(a: Hashes, b: Hashes, candidates: Candidates) -> NDArray[np.float64]:
    """(P,) mean squared difference of the thumbnails in [0, 1], a's after the candidate's transform."""
    distances = np.empty(len(candidates.a))
    for start in range(0, len(distances), CHUNK):
        part = slice(start, start + CHUNK)
        pictures = turned(a.thumb[candidates.a[part]], candidates.transform[part]).astype(np.int32)
        difference = pictures - b.thumb[candidates.b[part]]
        distances[part] = np.square(difference).mean(axis=(1, 2, 3)) / 255**2
    return distances


def turned(pictures: NDArray[np.uint8], transforms: NDArray[np.intp]) -> NDArray[np.uint8]:
    """(P, S, S, 3) each picture after its own transform (P,)."""
    result = np.empty_like(pictures)
    for transform in np.unique(transforms):
        under = transforms == transform
        result[under] = apply(pictures[under], transform)
    return result


def is_alike_inside(both: NDArray[np.float64], inside: NDArray[np.float64], settings: Audit) -> bool:
    """True where two thumbnails are near each other `inside` of a frame of one colour, which they share, or have none.

    White margins and the black bars of a film are alike on pictures that have nothing else in common.
    """
    if inside.size in (0, both.size):
        return True
    difference = np.square(inside[0] - inside[1]).mean() / 255**2
    contrast = inside.var(axis=(1, 2)).mean(axis=1).sum() / 255**2
    return bool(difference <= min(settings.pixel_threshold, settings.contrast_share * contrast))


def without_frame(both: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part (2, h, w, 3) of two pictures (2, H, W, 3) without lines of one colour, the same in both, at sides."""
    for _ in range(4):
        plain = (np.abs(both - both[:1, :1, :1]) <= PLAIN).all(axis=(0, 2, 3))
        both = np.rot90(both[:, int(np.argmin(np.append(plain, False))) :], axes=(1, 2))
    return both


def recoloured(
    a: Hashes, b: Hashes, rows_a: NDArray[np.intp], rows_b: NDArray[np.intp], transform: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """(P,) True where the detail of one thumbnail follows from that of the other: a copy whose colours were changed.

    Whatever was done to grey, tone and hue, one mix of the three channels does nearly the same. What is smooth, such as
    a sky that grows darker, could be fitted to much; so each pixel is compared by its difference from those around it,
    and every place counts alike, that a frame or a mark on both does not speak for all.
    """
    unexplained = np.empty(len(rows_a))
    for start in range(0, len(rows_a), CHUNK // 8):
        part = slice(start, start + CHUNK // 8)
        pictures = b.thumb[rows_b[part]]
        both = np.stack([detail(turned(a.thumb[rows_a[part]], transform[part])), detail(pictures)])
        strength = uniform_filter(np.square(both).sum(axis=4), (0, 0, AROUND, AROUND)).max(axis=0)
        both /= np.sqrt(strength + FAINT)[..., None]
        edge = AROUND // 2
        flat = both[:, :, edge:-edge, edge:-edge].reshape(2, len(pictures), -1, 3)
        values = np.concatenate([*flat], axis=2)  # (n, pixels, 6)
        products = values.swapaxes(1, 2) @ values
        unexplained[part] = np.minimum(residual(products), residual(products[:, ::-1, ::-1]))
    return unexplained <= RECOLOURED


def detail(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, S, S, 3) each pixel less the mean around it, which is none of the picture's own at its edge."""
    values = pictures.astype(np.float32)
    return np.asarray(values - uniform_filter(values, (0, AROUND, AROUND, 0)))


def residual(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the part of three variables' squares that the best mix of three others leaves, 1 where there is nothing.

    `products` (n, 6, 6) are the sums of products of the six, the three that explain first.
    """
    own, across, other = products[:, :3, :3], products[:, :3, 3:], products[:, 3:, 3:]
    ridge = 1e-6 * np.trace(own, axis1=1, axis2=2) + 1e-6  # a grey picture has but one channel
    explained = across * np.linalg.solve(own + ridge[:, None, None] * np.eye(3), across)
    whole = np.trace(other, axis1=1, axis2=2)
    share = np.divide(explained.sum(axis=(1, 2)), whole, out=np.zeros(len(whole)), where=whole > 0)
    return np.asarray(1 - share)


def variances(hashes: Hashes, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """(P,) variance over the thumbnail's pixels in [0, 1], the mean of its three channels."""
    parts = [
        hashes.thumb[rows[start : start + CHUNK]].var(axis=(1, 2)).mean(axis=1) / 255**2
        for start in range(0, len(rows), CHUNK)
    ]
    return np.concatenate([np.empty(0), *parts])
