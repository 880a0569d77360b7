"""Runs that never were: whether image n is right in seed s of an arm, drawn from a model whose accuracy is known.

An image is right where `skill + image + arm and image + seed + chance > 0`, all normal (a probit model with
crossed random effects), so that the accuracy over all images and seeds there could be is known exactly.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

TABLE = ndtri((np.arange(2**16) + 0.5) / 2**16).astype(np.float32)  # normal numbers by 16 random bits
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
ACCURACY = {"easy": 0.92, "hard": 0.45}
IMAGES_DIFFER = 1.5  # standard deviation of the images' difficulty; chance has one of 1


@dataclass(frozen=True)
class Arm:
    """How an arm answers; `taste` is how much its difficulties are its own, `seed` how much seeds differ."""

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


def _normal(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    count = int(np.prod(shape))
    bits = np.frombuffer(random.bytes(2 * count), dtype=np.uint16)
    return TABLE[bits].reshape(shape)
