"""One trained classifier explained: maps by every method that fits it, and how well each one orders the pixels."""

import time
import warnings
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from florilegium.config.products import Attribution
from florilegium.core.errors import UserError
from florilegium.data.augment import EvalTransform, InputConfig
from florilegium.explanation.attribution import METHODS, Attributed, Subject, Unfit
from florilegium.explanation.attributions import Attributions
from florilegium.explanation.perturbation import RANDOM, area, curves, ranks
from florilegium.explanation.survey import Pictures, as_fed, half, stacked

Found = dict[str, list[Attributed]]  # by method, an entry an image


def interpret(
    network: nn.Module,
    config: InputConfig,
    settings: Attribution,
    chosen: pd.DataFrame,
    classes: Sequence[str],
    *,
    pictures: Pictures,
    background: Pictures,
    device: torch.device,
) -> tuple[Attributions, dict[str, float]]:
    """Explain the answers of a trained classifier, and leave it in evaluation mode on `device`.

    Args:
        config: how the network's images are prepared.
        chosen: rows of the run's predictions; it is the predicted class that is explained.
        classes: in the order of the network's answers.
        pictures: the chosen images, and perhaps others.
        background: images that GradientSHAP compares with.

    Returns:
        What was found, and the seconds that one attribution took, by method.

    Raises:
        UserError: no method that was asked for fits the network.
    """
    network.eval().to(device)
    transform = EvalTransform(config)
    of_chosen = {name: pictures[name] for name in chosen["image"]}
    images = transform(stacked(of_chosen).to(device))  # (n, 3, s, s)
    subject = Subject(network, transform(stacked(background).to(device)), settings.steps)
    targets = [classes.index(name) for name in chosen["prediction"]]
    found, unfit, seconds = explain(subject, images, targets, list(chosen["image"]), settings)
    maps = torch.stack(
        [torch.stack([one.values.float().cpu() for one in of_method]) for of_method in found.values()], dim=1
    )
    every, table = judge(network, images, targets, maps, chosen, found)
    shown = dict(list(of_chosen.items())[: settings.figures])
    attributions = Attributions(
        methods=np.array(list(found)),
        maps=half(_to_one(maps[: len(shown)])),
        images=as_fed(stacked(shown), config),
        orders=np.array([*found, *RANDOM]),
        curves=half(every),
        unfit=np.array(list(unfit), dtype=np.str_),
        reasons=np.array(list(unfit.values()), dtype=np.str_),
        table=table,
    )
    return attributions, seconds


def explain(
    subject: Subject, images: Tensor, targets: Sequence[int], names: Sequence[str], settings: Attribution
) -> tuple[Found, dict[str, str], dict[str, float]]:
    """What each method says of images (n, 3, s, s), which ones do not fit and why, and the seconds of one
    attribution by method. What is drawn at random depends on the image's name alone."""
    found: Found = {}
    unfit: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for method in settings.methods:
        started = time.perf_counter()
        try:
            found[method] = [
                _seeded(name, METHODS[method], subject, image[None], target)
                for name, image, target in zip(names, images, targets, strict=True)
            ]
        except Unfit as error:
            unfit[method] = str(error)
            continue
        seconds[method] = (time.perf_counter() - started) / len(images)
    if not found:
        reasons = "; ".join(f"{method}: {reason}" for method, reason in unfit.items())
        raise UserError(
            f"attribution.methods: none fits {type(subject.network).__name__} ({reasons}); ask for others"
        )
    return found, unfit, seconds


def judge(
    network: nn.Module,
    images: Tensor,
    targets: Sequence[int],
    maps: Tensor,
    chosen: pd.DataFrame,
    found: Found,
) -> tuple[Tensor, pd.DataFrame]:
    """Deletion and insertion of each image (n, 3, s, s) by its maps (n, m, s, s), and in random orders.

    Returns:
        The curves and the table of `Attributions`.
    """
    rows = []
    every = []
    for place, row in enumerate(chosen.itertuples(index=False)):
        generator = torch.Generator().manual_seed(_number(row.image))
        orders = dict(zip(found, maps[place], strict=True))
        orders |= {name: draw(images.shape[-1], generator) for name, draw in RANDOM.items()}
        for order, scores in orders.items():
            pair = curves(network, images[place : place + 1], targets[place], ranks(scores, generator))
            every.append(torch.stack(pair))
            claim = found[order][place] if order in found else Attributed(scores)
            areas = dict(zip(("deletion", "insertion"), map(area, pair), strict=True))
            rows.append(
                row._asdict()
                | {"method": order}
                | areas
                | {"completeness_gap": claim.gap, "difference": claim.difference}
            )
    return torch.stack(every).unflatten(0, (len(images), -1)), pd.DataFrame(rows)


def _seeded(
    name: str,
    method: Callable[[Subject, Tensor, int], Attributed],
    subject: Subject,
    image: Tensor,
    target: int,
) -> Attributed:
    """Captum draws from the generators of numpy and torch, and warns of what it does to its own copies."""
    np.random.seed(_number(name))
    torch.manual_seed(_number(name))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="captum", category=UserWarning)
        return method(subject, image, target)


def _number(name: str) -> int:
    return zlib.crc32(name.encode())


def _to_one(maps: Tensor) -> Tensor:
    """Maps (k, m, s, s) whose largest magnitude is one: half precision knows no small numbers."""
    return maps / maps.abs().amax((2, 3), keepdim=True).clamp(min=1e-12)
