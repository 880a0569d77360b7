"""Images per second of study 4's plain recipe: the project's loop against Lightning's Trainer, and their lines of code.

Three sides train the same network on the same images with the same optimiser, in turn: the project's
loop; Lightning given the same whole batches, resident on the device, so that only the loops differ; and Lightning with
a DataLoader of workers, as it is usually fed. Lightning is no part of the project: install it to compare.

    python benchmarks/lightning_loop.py --out lightning_loop.json
"""

import argparse
import ast
import io
import logging
import sys
import time
import tokenize
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
import yaml
from measure import interleave, report
from torch import Tensor

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.data.augment import EvalTransform
from florilegium.data.load import Images, Splits
from florilegium.models import registry
from florilegium.training.classification import task_of
from florilegium.training.feed import Feed, feed_of, place
from florilegium.training.learner import Learner
from florilegium.training.loop import train_epoch
from florilegium.training.machine import configure, pick_device, pick_precision
from florilegium.training.state import Keeper, Progress, StateFolder, Stop
from florilegium.training.task import Task

PROJECT = Path(__file__).parents[1]
STUDY = PROJECT / "workflow" / "studies" / "techniques.yaml"
CLASSES, SIDE = 10, 32
NOTHING = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--widths", type=int, nargs=4, default=(64, 128, 256, 512))
    parser.add_argument("--images", type=int, default=12800, help="of an epoch, which is a block")
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    if find_spec("lightning") is None:
        sys.exit("error: lightning is not installed; pip install lightning, in an environment of its own")
    device = pick_device(a.device)
    configure(device, 1, deterministic=False)
    recipe = plain_recipe(pick_precision(a.precision, device))
    pixels = torch.randint(0, 256, (a.images, SIDE, SIDE, 3), dtype=torch.uint8)
    images = Images(pixels, torch.arange(a.images) % CLASSES, tuple(map(str, range(a.images))))
    model = Model(name="cifar_resnet18", arguments={"widths": list(a.widths)})
    rates = interleave(sides(model, recipe, images, device), a.blocks)
    lines = lines_of_code()
    report(
        a.out,
        f"cifar_resnet18 of widths {list(a.widths)}, batch {recipe.batch_size}, {recipe.precision}, {device}, 1 thread",
        rates,
        "loop",
        "Lightning, same batches",
        1.0,
        lines_of_code=lines,
    )
    for what, count in lines.items():
        print(f"  {count:6} lines: {what}")


def plain_recipe(precision: str) -> Recipe:
    """`techniques/resnet18_plain` of the study file."""
    written = yaml.safe_load(STUDY.read_text(encoding="utf-8"))["experiments"]["cifar"]["recipe"]
    return Recipe.model_validate({**written, "precision": precision})


def sides(model: Model, recipe: Recipe, images: Images, device: torch.device) -> dict[str, Callable[[], float]]:
    """An epoch of each side, as images per second."""
    from plain_lightning import Plain, loader, seconds_of_epoch

    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    images = place(images, device)
    config = registry.input_config(model, recipe)
    task = task_of(Splits(images, None, images, ()), recipe, config, 0, device)
    learner = Learner(registry.build(model, CLASSES), recipe, task.objective, device)
    keeper = Keeper(StateFolder(Path("unused"), ""), learner, Progress({}), Stop())
    now = partial(clock, device)

    def loop() -> float:
        started = now()
        train_epoch(learner, task, task.batches(0), Progress({}), keeper, 0)
        return len(images) / (now() - started)

    def lightning(batches: object) -> Callable[[], float]:
        module = Plain(registry.build(model, CLASSES), recipe)
        return lambda: len(images) / seconds_of_epoch(module, batches, device.type, recipe.precision, now)

    whole = Whole(task, feed_of(images, device), EvalTransform(config))
    decoded = loader(images.pixels.cpu(), images.labels.cpu(), recipe.batch_size)
    return {"loop": loop, "Lightning, same batches": lightning(whole), "Lightning, DataLoader": lightning(decoded)}


class Whole:
    """The batches of an epoch as the project's loop would see them, (B, 3, S, S) and labels (B,)."""

    def __init__(self, task: Task, feed: Feed, transform: EvalTransform) -> None:
        self.task, self.feed, self.transform = task, feed, transform

    def __len__(self) -> int:
        return len(self.task.batches(0))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for index in self.task.batches(0):
            pixels, labels = self.feed(index)
            yield self.transform(pixels), labels


def clock(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def lines_of_code() -> dict[str, int]:
    """Lines that a person writes on either side, and those of the loops beneath, without comments and blank lines."""
    import lightning

    written = yaml.safe_load(STUDY.read_text(encoding="utf-8"))["experiments"]
    asked = {name: written[name] for name in ("cifar", "resnet18_plain")}
    root = Path(lightning.__file__).parent
    beneath = [file for part in ("pytorch", "fabric") for file in (root / part).rglob("*.py")]
    return {
        "written for the project (YAML)": len(yaml.safe_dump(asked).splitlines()),
        "written for Lightning": code_lines(PROJECT / "benchmarks" / "plain_lightning.py"),
        "beneath the project's (all of florilegium.training)": sum(
            map(code_lines, (PROJECT / "src" / "florilegium" / "training").glob("*.py"))
        ),
        "beneath Lightning's (lightning.pytorch and lightning.fabric)": sum(map(code_lines, beneath)),
    }


def code_lines(path: Path) -> int:
    """Lines of a file that hold code: no comments, no docstrings, no blank lines."""
    text = path.read_text(encoding="utf-8")
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOTHING:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


if __name__ == "__main__":
    main()
