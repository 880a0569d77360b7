"""Archives of a few pictures in the exact layouts of the Oxford flowers, CIFAR and Tiny ImageNet."""

import io
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from tests.helpers.data import encoded, picture, tar, zipped

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = "cifar-10-batches-py"


def colour(label: int) -> tuple[int, int, int]:
    """That of all pictures of a class of flowers."""
    return (label * 2, 255 - label * 2, 60)


def mat(**content: Iterable[int]) -> bytes:
    """A MATLAB file of rows of whole numbers, as the makers of the Oxford flowers publish them."""
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {key: np.array([*value], np.uint16) for key, value in content.items()})
    return buffer.getvalue()


def oxford17_files(places: Iterable[int] = range(80)) -> tuple[dict[str, bytes], bytes]:
    """The archive's files, with the pictures at those places of the 80 of each class, and `datasplits.mat` of all.

    Split k tests on the places from 60 + k on and, going round, trains on the 40 from k on.
    """
    pictures = [picture(colour(label)) for label in range(17)]
    files = {f"jpg/image_{80 * label + place + 1:04d}.jpg": pictures[label] for label in range(17) for place in places}
    parts = {"trn": range(40), "val": range(40, 60), "tst": range(60, 80)}
    splits = {
        f"{key}{k}": [n + 1 for n in range(1360) if (n - k) % 80 in part]
        for key, part in parts.items()
        for k in (1, 2, 3)
    }
    return {**files, "jpg/files.txt": b"image_0001.jpg\n"}, mat(**splits)


def oxford102_files() -> tuple[dict[str, bytes], bytes, bytes]:
    """The archive's files, of each class one picture to train on, one to validate and two to test; their labels, which
    go round; and the split."""
    labels = [1 + n % 102 for n in range(408)]
    files = {f"jpg/image_{n:05d}.jpg": picture(colour(label)) for n, label in enumerate(labels, start=1)}
    return files, mat(labels=labels), mat(trnid=range(1, 103), valid=range(103, 205), tstid=range(205, 409))


def python2_pickle(value: object) -> bytes:
    """`value` as Python 2 pickles it by protocol 2; text is bytes, an array is one of bytes."""
    return b"\x80\x02" + _pickled(value) + b"."


def _pickled(value: object) -> bytes:
    if isinstance(value, bytes):
        return b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_pickled, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_pickled, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(_pickled(part) for item in value.items() for part in item) + b"u"
    assert isinstance(value, np.ndarray) and value.dtype == np.uint8
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + _pickled((0,)) + b"U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01" + _pickled(value.shape) + kind + b"\x89" + _pickled(value.tobytes()) + b"t"
    return empty + state + b"b"


def rows(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures (32, 32, 3) as a batch keeps them: a row of red, green and blue planes each."""
    return np.stack([picture.transpose(2, 0, 1).ravel() for picture in pictures])


def cifar_pictures(count: int, seed: int) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8))


def cifar10_files(per_batch: int = 20) -> tuple[dict[str, bytes], list[np.ndarray]]:
    """The files of the archive, and the pictures of its six batches, the test batch last.

    Labels go round: image i of a batch is of class i % 10.
    """
    labels = [i % 10 for i in range(per_batch)]
    files: dict[str, bytes] = {f"{BATCHES}/readme.html": b"<a>"}
    every = []
    for number in range(6):
        pictures = cifar_pictures(per_batch, number)
        every += pictures
        name = "test_batch" if number == 5 else f"data_batch_{number + 1}"
        content = {
            b"batch_label": name.encode(),
            b"labels": labels,
            b"data": rows(pictures),
            b"filenames": [b"%d.png" % i for i in labels],
        }
        files[f"{BATCHES}/{name}"] = python2_pickle(content)
    meta = {b"num_cases_per_batch": 10000, b"label_names": [n.encode() for n in CIFAR10], b"num_vis": 3072}
    return files | {f"{BATCHES}/batches.meta": python2_pickle(meta)}, every


def cifar100_files(names: Sequence[str], per_class: int = 10) -> dict[str, bytes]:
    """Train and test of one image of colour (label, 0, 0) and (label, 255, 0), `per_class` times."""
    fine = [i % 100 for i in range(100 * per_class)]
    files = {}
    for split, green in (("train", 0), ("test", 255)):
        pictures = [np.full((32, 32, 3), (label, green, 0), np.uint8) for label in fine]
        content = {
            b"filenames": [b"x.png"] * len(fine),
            b"batch_label": split.encode(),
            b"fine_labels": fine,
            b"coarse_labels": [label // 5 for label in fine],
            b"data": rows(pictures),
        }
        files[f"cifar-100-python/{split}"] = python2_pickle(content)
    meta = {b"fine_label_names": [name.encode() for name in names], b"coarse_label_names": [b"fish"] * 20}
    return files | {"cifar-100-python/meta": python2_pickle(meta), "cifar-100-python/file.txt~": b""}


def tiny_files(words: Mapping[str, str], n_train: int = 10, n_val: int = 3) -> dict[str, bytes]:
    """Classes by wnid with their words; the training images of the first class are grey."""
    top, files = "tiny-imagenet-200", {}
    annotations = []
    for label, wnid in enumerate(words):
        colour = Image.new("RGB", (64, 64), (40 * label, 200, 10))
        grey = encoded(Image.new("L", (64, 64), 90), "JPEG")
        files[f"{top}/train/{wnid}/{wnid}_boxes.txt"] = f"{wnid}_0.JPEG\t0\t0\t63\t63\n".encode()
        for i in range(n_train):
            picture = grey if label == 0 else encoded(colour, "JPEG")
            files[f"{top}/train/{wnid}/images/{wnid}_{i}.JPEG"] = picture
        for i in range(n_val):
            name = f"val_{i * len(words) + label}.JPEG"
            files[f"{top}/val/images/{name}"] = encoded(colour, "JPEG")
            annotations.append(f"{name}\t{wnid}\t0\t0\t62\t62\n")
    files[f"{top}/test/images/test_0.JPEG"] = encoded(Image.new("RGB", (64, 64)), "JPEG")
    files[f"{top}/val/val_annotations.txt"] = "".join(annotations).encode()
    files[f"{top}/wnids.txt"] = "".join(f"{wnid}\n" for wnid in reversed(list(words))).encode()
    more = {**words, "n00001740": "entity"}
    files[f"{top}/words.txt"] = "".join(f"{wnid}\t{said}\n" for wnid, said in more.items()).encode()
    return files


def cifar10_archive(path: Path, files: Mapping[str, bytes]) -> dict[str, object]:
    """An entry of `datasets.cifar10.files` that puts these files in place of the published archive."""
    return {"cifar-10-python.tar.gz": {"path": str(tar(path, files))}}


def tiny_archive(path: Path, files: Mapping[str, bytes]) -> dict[str, object]:
    return {"tiny-imagenet-200.zip": {"path": str(zipped(path, files))}}
