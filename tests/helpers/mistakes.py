"""A small project whose configuration is written wrong, case by case, and what `florilegium check` says of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from snakemake.cli import parse_config

from florilegium.commands.check import load
from florilegium.config.layers import Configuration, read_configuration
from florilegium.core.errors import UserError, UserErrors
from florilegium.estimation.trial import tried
from florilegium.estimation.trials import Answers, Trial

CONFIG, LOCAL, OPTION, STUDY = "config.yaml", "local.yaml", "--config", "study.yaml"
FILES = {
    CONFIG: "preset: demo\n",
    "workflow/presets/demo.yaml": "title: small\nseeds: [0, 1]\n",
    "workflow/presets/paper.yaml": "title: as published\nseeds: [0, 1, 2]\n",
    "workflow/weights.yaml": """
resnet18.photographs:
  model: resnet18
  source: {file: weights.safetensors, urls: ["https://example.org/weights.safetensors"]}
  n_classes: 1000
""",
    "workflow/datasets.yaml": """
roses: {layout: folders, folder: pictures/roses}
tulips: {layout: folders, folder: pictures/tulips}
scenes: {layout: coco, folder: pictures/scenes}
many:
  layout: oxford17
  files: [{file: 17flowers.tgz, md5: 0123456789abcdef0123456789abcdef}, {file: datasplits.mat, optional: true}]
  official_splits: 3
""",
    "workflow/studies/flowers.yaml": """
title: Flowers
document: nowhere
experiments:
  common:
    abstract: true
    data: {dataset: roses}
    model: {name: resnet18}
    recipe: {epochs: 10, lr: 0.1}
  scratch: {base: common}
  before: {base: common, data: {dataset: tulips, clean: [roses]}}
  after:
    base: common
    init: {experiment: before}
    arms:
      corrected:
        baseline: {experiment: scratch}
        published: [{metric: top1, low: 0.8, high: 0.8, source: table 1}]
      slow: {lr_factor: 0.3}
figures:
  - {name: bests, kind: bars, title: "Which is best?", experiments: [scratch, after]}
""",
    STUDY: """
title: Mine
document: nowhere
experiments:
  net:
    data: {dataset: tulips}
    model: {name: resnet18}
    recipe: {epochs: 3}
""",
}


def write(project: Path, name: str, content: str | bytes) -> None:
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def make_project(project: Path) -> Path:
    """The project without a mistake, the study `study.yaml` left out."""
    for name, content in FILES.items():
        if name != STUDY:
            write(project, name, content)
    for name in ("roses/dog/1.png", "tulips/cup/1.png", "scenes/train.json"):
        write(project, f"pictures/{name}", "as good as any")
    return project


@contextmanager
def mistaken(project: Path, case: Mapping[str, Any]) -> Iterator[Configuration]:
    """The configuration of a case, while its files lie in the project.

    `in` is a file of the project, of which `study.yaml` is one's own study, `local.yaml` a further `--configfile`;
    or `--config`. `write` is its whole content, and `put` is joined to what it holds without a mistake. `beside` has
    other files by name. `encoding`, `folder` and `missing` are of the file.
    """
    name = case.get("in", CONFIG)
    written: dict[str, str | bytes | None] = {**case.get("beside", {})}
    if "put" in case:
        written[name] = yaml.safe_dump(_joined(yaml.safe_load(FILES.get(name, "{}")), yaml.safe_load(case["put"])))
    elif name != OPTION:
        written[name] = None if case.get("missing") or case.get("folder") else case["write"]
        if isinstance(written[name], str):
            written[name] = str(written[name]).encode(case.get("encoding", "utf-8"))
    own = [file for file in written if file.endswith(STUDY) and not file.startswith("workflow")]
    if own and CONFIG not in written:
        written[CONFIG] = FILES[CONFIG] + yaml.safe_dump({"own_studies": own})
    try:
        for file, content in written.items():
            if content is not None:
                write(project, file, content)
            else:
                (project / file).unlink(missing_ok=True)
                if case.get("folder"):
                    (project / file).mkdir(parents=True)
        further = [project / LOCAL] if LOCAL in written else []
        yield read_configuration(project, further, parse_config([case["write"]]) if name == OPTION else {})
    finally:
        for file in written:
            path = project / file
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
            if file in FILES and file != STUDY:
                write(project, file, FILES[file])


def told(project: Path, case: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The mistakes and the remarks that `florilegium check` prints."""
    try:
        with mistaken(project, case) as config, chdir(project):
            plan, _ = load(project, config, tried_here)
    except UserErrors as error:
        return list(error.mistakes), []
    except UserError as error:
        return [str(error)], []
    return [], list(plan.remarks)


def tried_here(trials: Sequence[Trial]) -> Answers:
    """The answers of trials, in this process; a network is tried once."""
    return [_tried(trial.model_dump_json()) for trial in trials]


@cache
def _tried(trial: str) -> list[str]:
    return tried(Trial.model_validate_json(trial))


def _joined(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _joined(below.get(key), value) for key, value in above.items()}
