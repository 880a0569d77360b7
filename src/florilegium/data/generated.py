"""Generated images beside the real ones that a classifier learns from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from florilegium.core.errors import UserError
from florilegium.core.system import twelve_digits
from florilegium.data.crops import at_side
from florilegium.data.load import Images, Splits


def with_generated(splits: Splits, samples: Path, share: float) -> Splits:
    """`splits` with generated images added to the training images, `share` times as many as there are of these.

    They are taken from `samples` (uint8 (M, S, S, 3), classes in the `.csv` beside it) as evenly over
    the classes as possible, the first of each, so that a larger share contains a smaller one.

    Raises:
        UserError: there are fewer than that, or a class is unknown.
    """
    wanted = round(twelve_digits(share * len(splits.train)))
    if not wanted:
        return splits
    table = pd.read_csv(samples.with_suffix(".csv"), dtype=str)
    unknown = sorted(set(table["class"]) - set(splits.classes))
    if unknown:
        raise UserError(
            f"{samples}: holds images of '{unknown[0]}', which the data set does not know; train on the generator's own data set"
        )
    if wanted > len(table):
        raise UserError(
            f"{samples}: holds {len(table)} images and data.generated.share = {share:g} of {len(splits.train)} real "
            f"ones needs {wanted}; raise per_class in the generator's samples"
        )
    turn = table.groupby("class").cumcount().to_numpy()  # an image's number in its class
    rows = np.sort(np.argsort(turn, kind="stable")[:wanted])
    pixels = at_side(torch.from_numpy(np.load(samples)[rows]), splits.train.pixels.shape[1])
    labels = torch.tensor([splits.classes.index(name) for name in table["class"].iloc[rows]])
    names = tuple(f"generated/{row}" for row in rows.tolist())
    train = Images(
        torch.cat([splits.train.pixels, pixels]),
        torch.cat([splits.train.labels, labels]),
        (*splits.train.names, *names),
    )
    return replace(splits, train=train)
