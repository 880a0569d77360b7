"""Judge the quality of generated images.

Reads:  the images, the receipt of their generator, a classifier of real ones, and hashes of the data set.
Writes: judge.json, neighbours.csv and neighbours.png beside the images.
Why:    images are worth something if a classifier knows their classes and none copies a training image.
"""

import numpy as np
import torch

from florilegium.audit.kept import load
from florilegium.config.base import parse
from florilegium.config.data import DataUse
from florilegium.config.pictures import Pictures
from florilegium.config.products import Audit
from florilegium.core.errors import run_main
from florilegium.core.files import write_json
from florilegium.core.outputs import HASHES, JUDGEMENT
from florilegium.core.receipts import read_receipt
from florilegium.core.tables import write_frame
from florilegium.data.stored import ArrayFile, Stored
from florilegium.generation.judging import classify, closest_pairs, copies, labels_of, nearest, neighbours, summary
from florilegium.generation.sheets import save_picture
from florilegium.report.statistics import wilson
from florilegium.stages.arguments import add_device, add_images, image_files, leased_device, splits_of
from florilegium.stages.stage import stage, stage_parser


def main() -> None:
    parser = stage_parser(
        __doc__,
        out="folder of the set of images",
        spec="audit, pictures",
        samples="samples.npy, samples.csv beside it",
        generator="receipt of the generator's run",
        classifier="checkpoint of the judge",
        hashes="resources/<source>/hashes",
    )
    add_images(parser)
    add_device(parser)
    arguments = parser.parse_args()
    out, table = arguments.out, arguments.samples.with_suffix(".csv")
    inputs = [arguments.samples, table, arguments.generator, arguments.classifier]
    inputs += [arguments.hashes / name for name in HASHES]
    inputs += image_files(arguments)
    with (
        stage("judge", arguments, inputs, path=out / "judge.receipt.json") as receipt,
        leased_device(arguments, threads=1) as (device, _),
    ):
        audit = parse(Audit, receipt.spec["audit"], "--spec audit")
        run = read_receipt(arguments.generator)
        splits = splits_of(arguments, parse(DataUse, run["spec"]["data"], "receipt.json: data"))
        pictures, labels = np.load(arguments.samples, mmap_mode="r"), labels_of(table, splits.classes)
        samples = Stored([(ArrayFile(arguments.samples), torch.arange(len(pictures)))])
        scores = classify(arguments.classifier, samples, labels, splits.classes, device)
        real, side = splits.train.pixels, pictures.shape[1]
        near, usual = (nearest(images, real, side, device) for images in (samples, splits.test.pixels))
        hashes = load(arguments.hashes, parse(Pictures, receipt.spec["pictures"], "--spec pictures"))
        names = set(splits.train.names)
        trained = hashes.take(np.array([row for row, image in enumerate(hashes.images) if image in names], np.intp))
        copied = copies(pictures, trained, audit)
        low, high = wilson(round(scores.top1 * len(samples)), len(samples))
        interval = {"accuracy_low": low, "accuracy_high": high}
        write_frame(out / "neighbours.csv", neighbours(splits, labels, scores, near, copied))
        write_json(out / "judge.json", summary(scores, near, usual, len(copied)) | interval)
        save_picture(closest_pairs(samples, real, near), out / "neighbours.png")
        receipt.outputs += [out / name for name in JUDGEMENT]


if __name__ == "__main__":
    run_main(main)
