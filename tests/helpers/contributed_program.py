"""Run as a program in a copy of the project that has the network and the figure of the guide to contribute: prints the
shape of the network's answer and its input's size, then the names of the figures that are drawn."""

import sys
from pathlib import Path

import torch

from florilegium.config.data import Model
from florilegium.figures.draw import render
from florilegium.models import registry
from tests.helpers import report


def main(root: Path) -> None:
    network = registry.build(Model(name="plain_cnn", arguments={"width": 4}), 5)
    print(tuple(network(torch.zeros(2, 3, 24, 24)).shape), registry.own_input(Model(name="plain_cnn")).size)
    description = report.study(report.flowers())
    report.write_study(root, description)
    names = report.class_names(17)
    material = report.material_of(root, description, {"flowers17": names, "flowers102": names}, {})
    print(*(path.name for path in render(material, root / "figures")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
