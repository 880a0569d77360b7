"""JSON schemas of the configuration, for editors."""

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from florilegium.config.data import Dataset, Init, Model, Samples
from florilegium.config.experiment import TASKS
from florilegium.config.products import Attention, Attribution
from florilegium.config.study import Preset, Settings, StudyFile
from florilegium.core.files import write_json

FILES: dict[str, type[BaseModel]] = {"config": Settings, "study": StudyFile, "preset": Preset, "dataset": Dataset}
# Sections that files may give in part: they are merged before they are checked as a whole.
PARTIAL: dict[str, list[type[BaseModel]]] = {
    "data": [kind.data for kind in TASKS.values()],
    "model": [Model],
    "recipe": [kind.recipe for kind in TASKS.values()],
    "init": [Init],
    "attention": [Attention],
    "attribution": [Attribution],
    "samples": [Samples],
}


def schema(name: str) -> dict[str, Any]:
    """The JSON schema of one kind of file."""
    found = FILES[name].model_json_schema()
    definitions = found.setdefault("$defs", {})
    for section, models in PARTIAL.items():
        owners = [
            definitions[owner]["properties"]
            for owner in ("ExperimentEntry", "ArmEntry", "Overlay")
            if section in definitions.get(owner, {}).get("properties", {})
        ]
        if not owners:
            continue
        for model in models:
            part = model.model_json_schema()
            part.pop("required", None)
            definitions |= part.pop("$defs", {})
            definitions[f"Partial{model.__name__}"] = part
        choices = [{"$ref": f"#/$defs/Partial{model.__name__}"} for model in models]
        for properties in owners:
            properties[section] = {"anyOf": [*choices, {"type": "null"}]}
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    for name in FILES:
        write_json(folder / f"{name}.schema.json", schema(name))


if __name__ == "__main__":
    main()
