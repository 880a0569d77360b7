"""Write `environment.yaml`, for conda, from the pins of `requirements.lock`."""

import re
from pathlib import Path

HERE = Path(__file__).parent
HEAD = """\
# Made by `make lock` from requirements.lock: the same pins, for those who use conda or mamba.
name: florilegium
channels:
  - conda-forge
dependencies:
  - python=3.12
  - pip
  - pip:
"""


def pins(lock: str) -> list[str]:
    """The pinned requirements of a lock file with their markers, without hashes and comments."""
    found = re.findall(r"^([A-Za-z0-9][^ \\\n]*==[^ \\\n]+)( ; [^\\\n]+?)? *\\?$", lock, flags=re.MULTILINE)
    return [requirement + marker.rstrip() for requirement, marker in found]


def environment(lock: str) -> str:
    """The text of the conda environment with the pins of `lock`."""
    return HEAD + "".join(f'      - "{pin.replace(chr(34), chr(39))}"\n' for pin in pins(lock))


if __name__ == "__main__":
    lock = (HERE / "requirements.lock").read_text(encoding="utf-8")
    (HERE / "environment.yaml").write_text(environment(lock), encoding="utf-8", newline="\n")
