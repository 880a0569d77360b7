"""Pictures of bright squares, small enough to detect in a test."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.data.augment import InputConfig
from florilegium.data.boxed import BoxedImages, BoxedSplits
from florilegium.models import registry

CPU = torch.device("cpu")
CONFIG = InputConfig(size=64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), interpolation="bilinear")
CATEGORY_IDS = (2, 5)
SHAPES = ((64, 64), (32, 96))  # of the two buckets
TINY = {
    "norm": "gn",
    "blocks": [1, 1, 1, 1],
    "widths": [8, 16, 16, 16],
    "pyramid_width": 16,
    "head_layers": 1,
    "anchors": {"sizes": [16, 32, 64, 128, 256], "scales": [1.0], "ratios": [1.0]},
}
torch.set_num_threads(1)  # more of them wait for each other on such sizes, and give other bits


def scenes(
    count: int, seed: int = 0, *, objects: int | None = None, scale: float = 1.0, first_id: int = 1
) -> BoxedImages:
    """Every third picture is of the second shape; an object is red or blue, one or two a picture."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    buckets: list[list[Tensor]] = [[], []]
    bucket, row, boxes, labels, content = [], [], [], [], []
    for number in range(count):
        shape = 1 if number % 3 == 2 else 0
        height, width = SHAPES[shape][0], SHAPES[shape][1] - (8 if number % 2 else 0)
        picture = torch.zeros(*SHAPES[shape], 3, dtype=torch.uint8)
        picture[:, :width] = torch.randint(90, 110, (height, width, 3), generator=generator).byte()
        own, shown = [], []
        for _ in range(draw(1, 3) if objects is None else objects):
            side = draw(14, 22)
            x, y, label = draw(0, width - side + 1), draw(0, height - side + 1), draw(0, 2)
            picture[y : y + side, x : x + side] = 20
            picture[y : y + side, x : x + side, 2 * label] = 250
            own.append([x, y, x + side, y + side])
            shown.append(label)
        bucket.append(shape)
        row.append(len(buckets[shape]))
        buckets[shape].append(picture)
        boxes.append(torch.tensor(own, dtype=torch.float32).reshape(-1, 4))
        labels.append(torch.tensor(shown, dtype=torch.int64))
        content.append((height, width))
    sides = torch.tensor(content)
    return BoxedImages(
        pixels=tuple(
            torch.stack(part) if part else torch.zeros(0, *shape, 3, dtype=torch.uint8)
            for part, shape in zip(buckets, SHAPES, strict=True)
        ),
        bucket=torch.tensor(bucket),
        row=torch.tensor(row),
        boxes=tuple(boxes),
        labels=tuple(labels),
        ids=tuple(range(first_id, first_id + count)),
        names=tuple(f"{n:03d}.png" for n in range(count)),
        scale=torch.full((count,), scale, dtype=torch.float64),
        sizes=(sides / scale).round().long(),
        content=sides,
    )


def scene_splits(train: int = 12, val: int = 4, test: int = 5) -> BoxedSplits:
    return BoxedSplits(
        scenes(train), scenes(val, seed=1) if val else None, scenes(test, seed=2), ("red", "blue"), CATEGORY_IDS
    )


def truth(part: BoxedImages, category_ids: Sequence[int] = CATEGORY_IDS) -> dict:
    """The objects of `part` in COCO form, in original pixels."""
    annotations = []
    for number, (boxes, labels) in enumerate(zip(part.boxes, part.labels, strict=True)):
        for (x1, y1, x2, y2), label in zip(
            (boxes.double() / part.scale[number]).tolist(), labels.tolist(), strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": part.ids[number],
                    "category_id": category_ids[label],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
    return {
        "images": [
            {"id": n, "height": int(h), "width": int(w)}
            for n, (h, w) in zip(part.ids, part.sizes.tolist(), strict=True)
        ],
        "annotations": annotations,
        "categories": [{"id": n, "name": name} for n, name in zip(category_ids, ("red", "blue"), strict=True)],
    }


def detector(seed: int = 0, **arguments: object) -> nn.Module:
    torch.manual_seed(seed)
    return registry.build(Model(name="retinanet_resnet18", arguments=TINY | arguments), 2)
