"""What `config.yaml`, further files and single values of the command line say together, and which says what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.config.base import read_yaml, retyped
from florilegium.config.reading import is_glued
from florilegium.core.errors import Mistakes, UserError

CONFIG = "config.yaml"
OPTION = "--config"


@dataclass(frozen=True)
class Layer:
    """The values of one file, or of the option `--config`; `where` is its name in messages."""

    where: str
    values: Mapping[str, Any]


class Configuration(Mapping[str, Any]):
    """Layers in rising order of precedence, as one mapping: mappings are joined key by key, all else is replaced."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = tuple(layers)
        self._values: dict[str, Any] = {}
        for layer in self.layers:
            self._values = _joined(self._values, layer.values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def where(self, keys: Sequence[Any] = ()) -> str:
        """The name of the layer that sets the value at `keys`; where none does, the closest."""
        depth, layer = max(((_depth(layer.values, keys), k) for k, layer in enumerate(self.layers)), default=(0, 0))
        return self.layers[layer].where if depth else CONFIG


def layered(config: Mapping[str, Any]) -> Configuration:
    """The configuration; plain values count as those of `config.yaml`."""
    return config if isinstance(config, Configuration) else Configuration([Layer(CONFIG, config)])


def read_configuration(
    folder: Path, files: Sequence[Path] = (), values: Mapping[str, Any] | None = None, *, replace: bool = False
) -> Configuration:
    """The configuration of a project, as Snakemake joins it.

    Args:
        folder: the folder of `config.yaml`, which may be missing where there are `files`.
        files: further files, as `--configfile` names them.
        values: those of `--config`, nested ones as text.
        replace: leave `config.yaml` out, as `--replace-workflow-config` does.

    Raises:
        UserError: what `read_yaml` refuses, in all of the files.
    """
    mistakes = Mistakes()
    layers = []
    own = folder / CONFIG
    first = [] if replace or (files and not own.exists()) else [(own, CONFIG)]
    for path, where in [*first, *((path, _name(path)) for path in files)]:
        with mistakes.caught():
            content = read_yaml(path, where)
            if not content and path != own:  # Snakemake refuses it
                raise UserError(f"{where}: is empty; write `key: value` lines, or leave the file out")
            layers.append(Layer(where, content))
    with mistakes.caught():
        _check_glued(values or {})
    mistakes.refuse()
    return Configuration([*layers, Layer(OPTION, retyped(dict(values or {})))])


def _check_glued(values: Any) -> None:
    """Refuse `{lr:0.1}`, which the command line's YAML reads as a name without a value."""
    for key, value in values.items() if isinstance(values, Mapping) else ():
        if value == "" and (glued := is_glued(str(key))):
            raise UserError(f"{OPTION}: {glued}")
        _check_glued(value)


def _name(path: Path) -> str:
    """The path as its user wrote it, most likely: from here, if it lies below."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def _joined(below: Any, above: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(below) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        joined[key] = _joined(joined.get(key), value) if isinstance(value, Mapping) else value
    return joined


def _depth(values: Any, keys: Sequence[Any]) -> int:
    """How many of the keys, from the first on, the values have."""
    for depth, key in enumerate(keys):
        if (isinstance(values, Mapping) and key in values) or (
            isinstance(values, list) and isinstance(key, int) and key < len(values)
        ):
            values = values[key]
        else:
            return depth
    return len(keys)
