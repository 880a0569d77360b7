"""JSON schemas of the configuration, for editors: `python -m florilegium.config.json_schema workflow/schemas`."""

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from florilegium.config.data import Init, Model, Samples
from florilegium.config.datasets import Dataset
from florilegium.config.experiment import TASKS
from florilegium.config.products import Attention, Attribution
from florilegium.config.study import Preset, Settings, StudyFile
from florilegium.core.files import write_json

FILES: dict[str, type[BaseModel]] = {"config": Settings, "study": StudyFile, "preset": Preset, "dataset": Dataset}
# Files may give these sections in part: the parts are merged before they are checked as a whole.
PARTIAL: dict[str, list[type[BaseModel]]] = {
    "data": [task.data for task in TASKS.values()],
    "model": [Model],
    "recipe": [task.recipe for task in TASKS.values()],
    "init": [Init],
    "attention": [Attention],
    "attribution": [Attribution],
    "samples": [Samples],
}


def schema(name: str) -> dict[str, Any]:
    """The JSON schema of one kind of file."""
    whole = FILES[name].model_json_schema()
    definitions = whole.setdefault("$defs", {})
    entries = [
        definitions[entry]["properties"] for entry in ("ExperimentEntry", "ArmEntry", "Overlay") if entry in definitions
    ]
    for section, models in PARTIAL.items() if entries else ():
        for model in models:
            part = model.model_json_schema()
            part.pop("required", None)
            definitions |= part.pop("$defs", {})
            definitions[f"Partial{model.__name__}"] = part
        choices = [{"$ref": f"#/$defs/Partial{model.__name__}"} for model in models]
        for properties in entries:
            described = {key: properties[section][key] for key in ("description",) if key in properties[section]}
            properties[section] = {"anyOf": [*choices, {"type": "null"}]} | described
    return whole


def main() -> None:
    folder = Path(sys.argv[1])
    for name in FILES:
        write_json(folder / f"{name}.schema.json", schema(name))


if __name__ == "__main__":
    main()
