"""The configuration and the study that a person begins with: written once, and then theirs."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.config.base import read_yaml
from florilegium.core.errors import UserError
from florilegium.core.files import write_text
from florilegium.own.found import Found

FOLDER = Path("own")
PRESET = "own"
WEIGHTS = "efficientnet-lite0"

CONFIG = """\
# Written by `python -m florilegium start`, and yours from now on: `start` changes nothing here again. Run it:
#
#   snakemake --cores all all --configfile {config}
#
# Every other key of config.yaml may stand here, too; `python -m florilegium check {config}` names mistakes.
preset: {preset}
studies: [{name}]
own_studies: [{study}]
own_datasets:
  {name}:
    title: {title}
    layout: {layout}
    folder: {folder}
"""
HEAD = """\
# {title}: EfficientNet-Lite0 from scratch against the same from ImageNet, three seeds each. Written by `python -m
# florilegium start`, and yours from now on. `clean: [{name}]` drops pictures from training that the leak audit finds in
# validation or test. `{weights}` is an entry of workflow/weights.yaml; any name of timm with its tag may stand in
# its place, with the network of that name at `model`.
title: {title}
document: none
figures:
  - name: pretrained
    kind: bars
    title: What does a pretrained network add?
    experiments: ["*"]
  - name: curves
    kind: curves
    title: How does it learn?
    experiments: ["*"]
claims:
  - name: pretraining
    says: A network that was pretrained on ImageNet does better on these pictures than one from scratch
    source: the question of this study
    arms: [pretrained, scratch]
    at_least: 0.0
experiments:
"""
CLASSIFIER = """\
  scratch:
    title: EfficientNet-Lite0 from scratch
    data: &data
      dataset: {name}
      storage_size: {stored}
      clean: [{name}]
    model: &network {{name: tf_efficientnet_lite0}}
    recipe: &recipe
      image_size: {size}
      epochs: {long}
      batch_size: {batch}
      optimizer: adamw
      lr: 1.0e-3
      weight_decay: 0.05
      schedule: cosine
      warmup_epochs: {warmup}
      crop_scale: [0.35, 1.0]
      label_smoothing: 0.1
    arms:
      corrected: {{}}
  pretrained:
    title: EfficientNet-Lite0 from ImageNet
    data: *data
    model: *network
    init: {{weights: {weights}}}
    recipe: {{<<: *recipe, epochs: {short}, warmup_epochs: 1, lr: 5.0e-4}}
    arms:
      corrected: {{baseline: {{experiment: scratch}}}}
"""
DETECTOR = """\
  scratch:
    title: RetinaNet on EfficientNet-Lite0 from scratch
    task: detection
    data: &data
      dataset: {name}
      short_side: 320
      long_side: 512
      clean: [{name}]
    model: {{name: retinanet, arguments: {{backbone: tf_efficientnet_lite0, pyramid_width: 96, norm: gn}}}}
    recipe: &recipe
      epochs: {long}
      batch_size: {batch}
      optimizer: adam
      lr: 4.0e-4
      schedule: step
      relative_milestones: [0.667, 0.889]
    arms:
      corrected: {{}}
  pretrained:
    title: RetinaNet on EfficientNet-Lite0 from ImageNet
    task: detection
    data: *data
    model: {{name: retinanet, arguments: {{backbone: tf_efficientnet_lite0, pyramid_width: 96}}}}
    init: {{weights: {weights}}}
    recipe: {{<<: *recipe, epochs: {short}}}
    arms:
      corrected: {{baseline: {{experiment: scratch}}}}
"""
SIZE, STORED = 128, 146  # sides in pixels; a hundred pictures take minutes on two cores
UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # which YAML takes escaped alone
PICTURES = {"classification": (60_000, 12, 40), "detection": (20_000, 8, 24)}
"""Pictures that a training from scratch should see, and the least and the most epochs for that."""


@dataclass(frozen=True)
class Written:
    """The files of a start, relative to the project's folder."""

    config: Path
    study: Path
    new: tuple[Path, ...]
    """Those that were not there before."""


def write(found: Found, name: str, project: Path) -> Written:
    """Write what is not there yet; what is there stays as it is.

    Raises:
        UserError: the files of that name belong to another folder.
    """
    folder = FOLDER / name
    config, study = folder / "config.yaml", folder / f"{name}.yaml"
    check_same(project / config, found, name)
    texts = {study: study_text(found, name), config: config_text(found, name, config, study, project)}
    new = [path for path in texts if not (project / path).exists()]
    for path in new:
        write_text(project / path, texts[path])
    return Written(config, study, tuple(new))


def check_same(config: Path, found: Found, name: str) -> None:
    """Raise `UserError` for a configuration that is there and is that of another folder."""
    if not config.exists():
        return
    entry = (read_yaml(config, str(config)).get("own_datasets") or {}).get(name)
    there = entry.get("folder") if isinstance(entry, dict) else None
    if isinstance(there, str) and (config.parents[2] / there).expanduser().resolve() != found.folder:
        raise UserError(f"{config}: is that of another folder, {there}; give this one another name: --name")


def config_text(found: Found, name: str, config: Path, study: Path, project: Path) -> str:
    """The configuration; a folder inside the project is named from there."""
    home = project.resolve()
    folder = found.folder.relative_to(home) if found.folder.is_relative_to(home) else found.folder
    text = CONFIG.format(
        config=config.as_posix(),
        study=study.as_posix(),
        preset=PRESET,
        name=name,
        title=_quoted(found.dataset.title),
        layout=found.dataset.layout,
        folder=_quoted(folder.as_posix()),
    )
    if found.dataset.annotations:
        text += "".join(
            f"    annotations: {{{split}: {_quoted(file)}}}\n" for split, file in found.dataset.annotations.items()
        )
    if found.faults:
        text += f"{'bad_boxes: drop' if found.has_boxes else 'corrupt_images: skip'}   # they are counted and listed\n"
    return text


def study_text(found: Found, name: str) -> str:
    """The study: from scratch against pretrained."""
    values: dict[str, Any] = {"name": name, "title": _quoted(found.dataset.title), "weights": WEIGHTS}
    count = found.images["train"]
    seen, least, most = PICTURES["detection" if found.has_boxes else "classification"]
    long = min(max(seen // count, least), most)
    values |= {"long": long, "short": max(least * long // most, 4), "warmup": 2, "size": SIZE, "stored": STORED}
    values["batch"] = 8 if found.has_boxes else 32 if count >= 64 else 16
    return HEAD.format(**values) + (DETECTOR if found.has_boxes else CLASSIFIER).format(**values)


def _quoted(text: str) -> str:
    """A text as YAML reads it back, whatever it holds."""
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
