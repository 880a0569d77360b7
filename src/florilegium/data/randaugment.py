"""RandAugment (Cubuk et al. 2020, "RandAugment: Practical automated data augmentation with a reduced
search space"), on a batch in which every image draws its own operations.

Magnitude 0 is not the identity: AutoContrast and Equalize have no magnitude, and Solarize at its highest
threshold still inverts the values of 255.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

STRONGEST = 30
Operation = Callable[[Tensor, float], Tensor]


def randaugment(images: Tensor, operations: int, magnitude: int) -> Tensor:
    """Apply `operations` random operations to each image of uint8 (B, 3, s, s), in place.

    The operations are drawn on the host, which then knows without waiting for the device how many images
    share one.
    """
    table = list(operations_at(magnitude, images.shape[3]).values())
    for _ in range(operations):
        which = torch.randint(len(table), (len(images),))
        direction = torch.where(torch.rand(len(images)) < 0.5, -1, 1)
        for number, operation in enumerate(table):
            for sign in (-1, 1):
                chosen = ((which == number) & (direction == sign)).nonzero().flatten()
                if len(chosen):
                    index = chosen.to(images.device, non_blocking=True)
                    images[index] = operation(images[index], sign)
    return images


def operations_at(magnitude: int, size: int) -> dict[str, Operation]:
    """The fourteen operations at `magnitude` of 30 for images of `size` pixels.

    Each takes uint8 (n, 3, size, size) and a direction, -1 or 1, that only the symmetric ones obey.
    Ranges are those of torchvision's `RandAugment`, nearest-neighbour resampling and black fill included.
    """
    from torchvision.transforms.v2 import functional as tv  # costs two seconds: imported where it is used

    part = magnitude / STRONGEST
    shear = math.degrees(math.atan(0.3 * part))
    shift = int(150 / 331 * size * part)
    factor = 0.9 * part

    def affine(x: Tensor, angle: float, translate: list[int], shear: list[float]) -> Tensor:
        centre = [0.0, 0.0] if any(shear) else None
        return tv.affine(x, angle=angle, translate=translate, scale=1.0, shear=shear, center=centre)

    return {
        "Identity": lambda x, sign: x,
        "ShearX": lambda x, sign: affine(x, 0.0, [0, 0], [sign * shear, 0.0]),
        "ShearY": lambda x, sign: affine(x, 0.0, [0, 0], [0.0, sign * shear]),
        "TranslateX": lambda x, sign: affine(x, 0.0, [sign * shift, 0], [0.0, 0.0]),
        "TranslateY": lambda x, sign: affine(x, 0.0, [0, sign * shift], [0.0, 0.0]),
        "Rotate": lambda x, sign: tv.rotate(x, sign * 30.0 * part),
        "Brightness": lambda x, sign: tv.adjust_brightness(x, 1 + sign * factor),
        "Color": lambda x, sign: tv.adjust_saturation(x, 1 + sign * factor),
        "Contrast": lambda x, sign: tv.adjust_contrast(x, 1 + sign * factor),
        "Sharpness": lambda x, sign: tv.adjust_sharpness(x, 1 + sign * factor),
        "Posterize": lambda x, sign: tv.posterize(x, 8 - round(4 * part)),
        "Solarize": lambda x, sign: tv.solarize(x, 255 * (1 - part)),
        "AutoContrast": lambda x, sign: tv.autocontrast(x),
        "Equalize": lambda x, sign: tv.equalize(x),
    }
