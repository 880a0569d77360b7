"""How well an order of pixels is chosen: deletion and insertion (Petsiuk, Das and Saenko 2018, section 4.1).

Deletion takes the pixels away in order, the most important first, and puts the mean colour in their place; the
probability of the class should fall at once. Insertion puts them back, in the same order, into a blurred
image; it should rise at once. The area under each curve is a mean probability, in [0, 1].
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

POINTS = 32  # equal shares of the pixels, one after the other
BATCH = 33
BLUR = 1 / 16  # of the side: a paper's 5 of 224 pixels would leave small images as they are
SQUARES = 8  # a side


def ranks(scores: Tensor, generator: torch.Generator) -> Tensor:
    """The place of each pixel in falling order of `scores` (s, s), int64 (s, s); equal ones in random order."""
    flat = scores.flatten().cpu()
    shuffled = torch.randperm(len(flat), generator=generator)
    order = shuffled[flat[shuffled].argsort(descending=True, stable=True)]
    found = torch.empty_like(order)
    found[order] = torch.arange(len(flat))
    return found.view(scores.shape)


def random_pixels(side: int, generator: torch.Generator) -> Tensor:
    """Scores (side, side) that say nothing."""
    return torch.rand(side, side, generator=generator)


def random_squares(side: int, generator: torch.Generator) -> Tensor:
    """Scores (side, side) that say nothing of 8 x 8 squares: as coarse as a map of a late layer, and so the
    fairer opponent of one, since pixels that are scattered over an image spoil it in another way."""
    squares = torch.rand(1, 1, SQUARES, SQUARES, generator=generator)
    return F.interpolate(squares, size=(side, side), mode="nearest")[0, 0]


RANDOM = {"random_pixels": random_pixels, "random_squares": random_squares}


def curves(network: nn.Module, image: Tensor, target: int, places: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of class `target` when a share of the pixels is deleted, and when it is inserted.

    Args:
        image: normalised, (1, 3, s, s); zero is the mean colour.
        places: of each pixel in the order, int64 (s, s); see `ranks`.

    Returns:
        Two curves (POINTS + 1,) over shares from 0 to 1.
    """
    shares = torch.arange(POINTS + 1) / POINTS
    first = places[None] < (shares * places.numel()).round().long()[:, None, None]  # (P + 1, s, s)
    taken = first[:, None].to(image.device)
    deletion = torch.where(taken, torch.zeros_like(image), image)
    insertion = torch.where(taken, image, blurred(image))
    both = torch.cat([deletion, insertion])  # (2 (P + 1), 3, s, s)
    with torch.inference_mode():
        answers = [network(part).softmax(1)[:, target] for part in both.split(BATCH)]
    deleted, inserted = torch.cat(answers).double().cpu().chunk(2)
    return deleted, inserted


def blurred(images: Tensor) -> Tensor:
    """Images (B, 3, s, s) of which only large patches of colour are left."""
    sigma = BLUR * images.shape[-1]
    reach = min(int(2 * sigma + 0.5), images.shape[-1] - 1)
    return gaussian_blur(images, 2 * reach + 1, sigma)


def area(curve: Tensor) -> float:
    """Under a curve over equal steps from 0 to 1, by the trapezoid rule."""
    return float(torch.trapezoid(curve) / (len(curve) - 1))
