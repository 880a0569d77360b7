"""The profile of a cluster stands in place of the default one, so it must say all that this says."""

from pathlib import Path

import yaml


def test_the_slurm_profile_keeps_what_the_default_says(project: Path):
    default, slurm = (
        yaml.safe_load((project / "profiles" / name / "profile.yaml").read_text()) for name in ("default", "slurm")
    )
    machine = default.pop("resources")  # of one machine; a cluster counts its GPUs itself
    assert set(machine) == {"gpu"} and "resources" not in slurm
    assert {key: slurm.get(key) for key in default} == default
