"""Average precision on resampled test images: from matches that are made once, beside pycocotools on every draw.

    OPENBLAS_NUM_THREADS=1 python benchmarks/average_precision.py --out average_precision.json

Made-up detections of five seeds on 2,000 images, 100 an image in 5 classes, and 1,000 draws of the images. Of
pycocotools a few draws of one seed are timed, and the rest is reckoned from them: with each drawn set evaluated
anew, and with its own matches kept and only put together anew. On these draws the figures are compared.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from machine import machine

from florilegium.config.metrics import COCO_METRICS
from florilegium.core.files import write_json
from florilegium.evaluation.coco import Matches, accumulated, matches_of, read_matches, write_matches
from florilegium.report.average_precision import resampled

T = TypeVar("T")
SHOWN = ("AP", "AP50", "AP75")
WIDTH, HEIGHT = 500, 400
OBJECTS = 2.5  # an image, on average
ON_OBJECTS = 0.12  # of the detections


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--detections", type=int, default=100, help="an image")
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3, help="of our timings, and draws of pycocotools")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    arguments = parser.parse_args()

    here = machine()
    truth = objects(arguments.images, arguments.classes)
    results = [detections(truth, arguments.detections, seed) for seed in range(arguments.seeds)]
    evaluations = [accumulated(truth, own) for own in results]
    runs, making = zip(*(timed(lambda e=e: matches_of(truth, e)) for e in evaluations), strict=True)
    runs, n_bytes, reading = kept(runs)

    def ours(names: tuple[str, ...]) -> tuple[np.ndarray, list[float]]:
        done = [timed(lambda: resampled(runs, names, arguments.draws)) for _ in range(arguments.repeats)]
        return done[0][0], [seconds for _, seconds in done]

    _, three = ours(SHOWN)
    found, twelve = ours(COCO_METRICS)
    anew, together, difference = pycocotools(truth, results[0], evaluations[0], found[: arguments.repeats, 0])
    times = arguments.draws * arguments.seeds
    seconds = {
        "ours, AP, AP50 and AP75": statistics.median(three),
        "ours, all twelve figures": statistics.median(twelve),
        "pycocotools, matches kept, all twelve": statistics.median(together) * times,
        "pycocotools, all anew, all twelve": statistics.median(anew) * times,
    }
    write_json(
        arguments.out,
        {
            "title": "Figures of COCO on resampled images",
            "machine": here,
            "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"),
            "n_images": arguments.images,
            "n_detections": sum(map(len, results)),
            "n_classes": arguments.classes,
            "n_seeds": arguments.seeds,
            "n_draws": arguments.draws,
            "seconds": {name: round(value, 2) for name, value in seconds.items()},
            "seconds_each": {
                "ours, AP, AP50 and AP75": [round(value, 3) for value in three],
                "ours, all twelve figures": [round(value, 3) for value in twelve],
                "pycocotools, matches kept, one draw of one seed": [round(value, 3) for value in together],
                "pycocotools, all anew, one draw of one seed": [round(value, 3) for value in anew],
            },
            "largest_difference": difference,
            "seconds_to_make_matches_of_a_run": round(statistics.median(making), 3),
            "seconds_to_read_matches_of_a_run": round(statistics.median(reading), 3),
            "bytes_of_matches_of_a_run": statistics.median(n_bytes),
        },
    )
    print(f"{here['hardware']}, load before {here['load']}")
    for name, value in seconds.items():
        print(f"  {name:40} {value:12,.1f} s")
    print(f"  largest difference of a figure: {difference:.1e}")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    found = work()
    return found, time.perf_counter() - started


def kept(runs: tuple[Matches, ...]) -> tuple[list[Matches], list[int], list[float]]:
    """The runs as they are read back from their files, the size of each file and the seconds to read it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.npz" for number in range(len(runs))]
        for path, run in zip(paths, runs, strict=True):
            write_matches(path, run)
        read = [timed(lambda path=path: read_matches(path)) for path in paths]
        return [run for run, _ in read], [path.stat().st_size for path in paths], [s for _, s in read]


def pycocotools(
    truth: dict[str, Any], results: list[dict[str, Any]], evaluation: Any, expected: np.ndarray
) -> tuple[list[float], list[float], float]:
    """Seconds of a draw with everything anew and with the matches kept, for each row of `expected`, and the
    largest difference of a figure from it."""
    n = len(truth["images"])
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=len(expected))
    anew, together, differences = [], [], []
    for times, own in zip(drawn, expected, strict=True):
        stats, seconds = timed(lambda t=times: accumulated(*repeated(truth, results, t)).stats)
        anew.append(seconds)
        again, seconds = timed(lambda t=times: put_together(evaluation, t))
        together.append(seconds)
        differences += [np.abs(stats - own).max(), np.abs(again - own).max()]
    return anew, together, float(max(differences))


def repeated(
    truth: dict[str, Any], results: list[dict[str, Any]], times: np.ndarray
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The set in which each image stands so often, its copies under ids of their own that follow one another."""
    last = np.cumsum(times)
    copies = {
        image["id"]: range(int(end - count) + 1, int(end) + 1)
        for image, count, end in zip(truth["images"], times, last, strict=True)
    }
    images = [image | {"id": copy} for image in truth["images"] for copy in copies[image["id"]]]
    lines = [line | {"image_id": copy} for line in results for copy in copies[line["image_id"]]]
    found = [of | {"image_id": copy} for of in truth["annotations"] for copy in copies[of["image_id"]]]
    annotations = [of | {"id": number} for number, of in enumerate(found, start=1)]
    return {**truth, "images": images, "annotations": annotations}, lines


def put_together(evaluation: Any, times: np.ndarray) -> np.ndarray:
    """The figures from the matches of the images that were drawn: pycocotools without a second matching."""
    settings = evaluation.params
    shape = len(settings.catIds), len(settings.areaRng), len(settings.imgIds)
    matches = np.array(evaluation.evalImgs, dtype=object).reshape(shape)
    drawn = deepcopy(settings)
    drawn.imgIds = list(range(int(times.sum())))
    again = type(evaluation)(iouType="bbox")
    again.params = again._paramsEval = drawn
    again.evalImgs = np.repeat(matches, times, axis=2).ravel().tolist()
    with redirect_stdout(StringIO()):
        again.accumulate()
        again.summarize()
    return np.asarray(again.stats)


def objects(n_images: int, n_classes: int) -> dict[str, Any]:
    """Objects of 12 to 220 pixels, as many images as asked."""
    draw = np.random.default_rng(0)
    annotations: list[dict[str, Any]] = []
    for image in range(1, n_images + 1):
        for _ in range(draw.poisson(OBJECTS)):
            width, height = np.exp(draw.uniform(np.log(12), np.log(220), 2))
            box = [float(v) for v in (*draw.uniform(0, (WIDTH - width, HEIGHT - height)), width, height)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(draw.integers(1, n_classes + 1)),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    return {
        "images": [
            {"id": n, "file_name": f"{n:06d}.jpg", "width": WIDTH, "height": HEIGHT} for n in range(1, n_images + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": n, "name": f"class {n}"} for n in range(1, n_classes + 1)],
    }


def detections(truth: dict[str, Any], each: int, seed: int) -> list[dict[str, Any]]:
    """`each` detections an image: some near objects and likelier, most of them on nothing."""
    draw = np.random.default_rng([seed, 1])
    n_classes = len(truth["categories"])
    own: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in truth["images"]}
    for of in truth["annotations"]:
        own[of["image_id"]].append(of)
    found = []
    for image, there in own.items():
        near = draw.random(each) < (ON_OBJECTS if there else 0)
        scores = np.where(near, draw.beta(3, 2, each), 0.05 + 0.95 * draw.beta(0.5, 5, each))
        for is_near, score in zip(near.tolist(), scores.tolist(), strict=True):
            if is_near:
                of = there[int(draw.integers(len(there)))]
                category, (x, y, width, height) = of["category_id"], of["bbox"]
                dx, dy, dw, dh = draw.uniform(0, 0.25) * draw.normal(size=4)
                box = (x + dx * width, y + dy * height, width * np.exp(dw), height * np.exp(dh))
            else:
                category = int(draw.integers(1, n_classes + 1))
                box = (*draw.uniform(0, 300, 2), *np.exp(draw.uniform(np.log(12), np.log(220), 2)))
            found.append(
                {
                    "image_id": image,
                    "category_id": category,
                    "bbox": [round(float(value), 2) for value in box],
                    "score": round(score, 6),
                }
            )
    return found


if __name__ == "__main__":
    main()
