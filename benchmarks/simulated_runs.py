"""Simulated runs: right and wrong answers by image, seed and arm, from a model whose accuracy is known, and
detectors whose seeds scatter.

An image is right where `skill + image + arm and image + seed + chance > 0`, all normal (a probit model with
crossed random effects), so that the accuracy over all images and seeds there could be is known exactly.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from florilegium.evaluation.coco import AREAS, IOUS, Matches

TABLE = ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)  # normal numbers by 16 random bits
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
ACCURACY = {"easy": 0.92, "hard": 0.45}
IMAGES_DIFFER = 1.5  # standard deviation of the images' difficulty; chance has one of 1


@dataclass(frozen=True)
class Arm:
    """An arm's answers: `taste` is the standard deviation of difficulties of its own, `seed` that between seeds."""

    skill: float
    seed: float
    taste: float

    @property
    def _others(self) -> float:
        return float(np.sqrt(1 + IMAGES_DIFFER**2 + self.taste**2))

    def accuracy(self) -> float:
        """Over all images and seeds."""
        return float(ndtr(self.skill / np.hypot(self._others, self.seed)))

    def scatter(self) -> float:
        """The standard deviation of the accuracy between seeds, over all images."""
        by_seed = ndtr((self.skill + self.seed * NODES) / self._others)
        mean = np.average(by_seed, weights=WEIGHTS)
        return float(np.sqrt(np.average((by_seed - mean) ** 2, weights=WEIGHTS)))


@cache
def arm_of(accuracy: float, scatter: float, taste: float = 0.0) -> Arm:
    """The arm of that accuracy whose seeds scatter by so much, both as fractions."""

    def of(seed: float) -> Arm:
        others = np.sqrt(1 + IMAGES_DIFFER**2 + taste**2)
        return Arm(float(ndtri(accuracy) * np.hypot(others, seed)), seed, taste)

    return of(brentq(lambda seed: of(seed).scatter() - scatter, 1e-9, 20.0)) if scatter else of(0.0)


def draw(
    random: np.random.Generator, arms: list[Arm], n_seeds: int, n_images: int, draws: int
) -> list[NDArray[np.bool_]]:
    """Hits of each arm on the same images, each of shape (draws, n_seeds, n_images)."""
    images = IMAGES_DIFFER * _normal(random, (draws, 1, n_images))
    found = []
    for arm in arms:
        latent = images + np.float32(arm.skill)
        if arm.taste:
            latent = latent + np.float32(arm.taste) * _normal(random, (draws, 1, n_images))
        if arm.seed:
            latent = latent + np.float32(arm.seed) * _normal(random, (draws, n_seeds, 1))
        found.append(_normal(random, (draws, n_seeds, n_images)) > -latent)
    return found


def draw_detectors(random: np.random.Generator, seeds: NDArray[np.float64], n_images: int) -> list[Matches]:
    """Runs of detectors of one class on the same images; `seeds` (R,) say how much better each run is than usual.

    An image has one object or more; whether one is found depends on the image and the run. Whatever is found is right
    up to some IoU, and ranks above what is not there more often than not.
    """
    objects = 1 + random.poisson(1.5, n_images)
    hard = random.standard_normal(n_images)
    counts = np.broadcast_to(objects, (1, len(AREAS), n_images)).astype(np.int64)
    found = []
    for seed in seeds:
        of = np.repeat(np.arange(n_images), objects)  # the image of each object
        of = of[random.random(len(of)) < ndtr(0.5 + hard[of] + seed)]
        nothing = np.repeat(np.arange(n_images), random.poisson(3, n_images))
        score = np.concatenate([random.normal(1.2, 1, len(of)), random.normal(0, 1, len(nothing))])
        quality = np.concatenate([random.beta(4, 2, len(of)) * IOUS, np.zeros(len(nothing))])
        order = np.argsort(-score)
        right = np.arange(IOUS)[:, None] < quality[order]  # (IoU, detection)
        every = np.broadcast_to(right, (len(AREAS), *right.shape))
        image = np.concatenate([of, nothing])[order]
        label = np.zeros(len(image), dtype=np.intp)
        found.append(Matches("", ("thing",), counts, label, image, every, np.zeros_like(every)))
    return found


def _normal(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    count = int(np.prod(shape))
    bits = np.frombuffer(random.bytes(2 * count), dtype=np.uint16)
    return TABLE[bits].reshape(shape)
