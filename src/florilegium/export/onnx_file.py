"""A network as an ONNX file, which runs without torch, compared with the network itself before it is kept."""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from florilegium.core.errors import UserError
from florilegium.export.networks import Portable, pictures

FILE = "model.onnx"
NEEDED = ("onnx", "onnxruntime", "onnxscript")  # the extra `export`
BATCHES = (1, 3)  # images; the file is made from a batch of another size
OTHERWISE = "take --to timm, if it is a network of timm"
TOLERANCE = 1e-4  # of the largest number among the answers, where that is above 1


def check_installed() -> None:
    """Raise `UserError` unless the packages of the extra `export` are there."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UserError(
            f"--to onnx: {missing[0]} is not installed; install the extra `export` in the project's folder: "
            "python -m pip install --editable '.[export]'"
        )


def write_onnx(portable: Portable, folder: Path) -> float:
    """Write `model.onnx` into `folder`, for any number of images a batch; weights above 1.5 GB lie in a file beside it.

    Its metadata (`custom_metadata_map` in onnxruntime) holds as JSON `classes`, `preprocessing` and `outputs`.

    Returns:
        The largest difference between its answers in onnxruntime and the network's in torch.

    Raises:
        UserError: the network has a part that ONNX cannot express, or the answers differ.
    """
    program = _program(portable.network, pictures(portable, 2), portable.outputs)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # the lines of code that it came from, with the folders of this machine
    told = {"classes": portable.classes, "preprocessing": portable.preprocessing, "outputs": portable.answers}
    program.model.metadata_props.update({key: json.dumps(value) for key, value in told.items()})
    program.save(folder / FILE)
    return difference_of(portable, folder / FILE)


def _program(network: nn.Module, example: Tensor, outputs: Sequence[str]) -> torch.onnx.ONNXProgram:
    """The network as operators of ONNX; its attention in plain ones, since not every fused one can be expressed."""
    fused: list[Any] = [module for module in network.modules() if getattr(module, "fused_attn", False)]
    dynamic = ({0: torch.export.Dim("batch")},)
    try:
        for module in fused:
            module.fused_attn = False
        with _quiet():
            # strictly, since else `len(images)` would be a number, that of the example
            exported = torch.export.export(network, (example,), dynamic_shapes=dynamic, strict=True)
            program = torch.onnx.export(
                exported, dynamo=True, verbose=False, input_names=["images"], output_names=list(outputs)
            )
    except Exception as error:  # whatever a network does that neither can follow
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        kind = type(network).__name__
        raise UserError(f"--to onnx: {kind} cannot be written in ONNX ({reason}); {OTHERWISE}") from error
    finally:
        for module in fused:
            module.fused_attn = True
    assert program is not None
    return program


def difference_of(portable: Portable, path: Path) -> float:
    """The largest difference between the answers of the file and of the network, over batches of two sizes."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    largest = 0.0
    for count in BATCHES:
        images = pictures(portable, count)
        with torch.inference_mode():
            answers = portable.network(images)
        expected = answers if isinstance(answers, tuple) else (answers,)
        found = session.run(list(portable.outputs), {"images": images.numpy()})
        for name, own, theirs in zip(portable.outputs, expected, found, strict=True):
            difference = float(np.abs(own.numpy() - theirs).max())
            if not difference <= TOLERANCE * max(1.0, float(own.abs().max())):
                raise UserError(
                    f"--to onnx: {name} in onnxruntime differ by {difference:.2g} from those in torch, more than "
                    f"{TOLERANCE:g}, and nothing was written; {OTHERWISE}"
                )
            largest = max(largest, difference)
    return largest


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of the exporter, which are for those who write it."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
