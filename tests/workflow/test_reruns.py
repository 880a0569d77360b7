"""Exactly what changed runs again: the set of outputs that are due after one edit.

Nothing is trained here. In a copy of the project every output is put in place as a small file and
`snakemake --touch` records that it was made with the parameters of the moment: to a plan this is a
finished project.
"""

import os
import re
import shutil
import time
from pathlib import Path

import pytest
import yaml

from florilegium.audit import matching
from florilegium.core import files
from florilegium.core.fingerprint import CACHE
from florilegium.data import pack
from florilegium.figures import style
from florilegium.models import families
from florilegium.report import statistics
from florilegium.training import learner
from tests.workflow.conftest import configure, copy_project, narrow, planned, snakemake, source

FLOWERS = "results/demo/flowers"
NAMES = ("claims", "comparison", "differences", "costs", "scores")
TABLES = (*(f"{FLOWERS}/{name}." for name in NAMES), "results/demo/claims.")
PICTURES = (f"{FLOWERS}/figures/", "results/demo/report.")
REPORTS = (*TABLES, *PICTURES)
STUDIES = tuple(f"results/demo/{study}/" for study in ("flowers", "generation", "normalization", "tiny_imagenet"))
ALL_PICTURES = (*(f"{study}figures/" for study in STUDIES), "results/demo/report.")
ALL_TABLES = (*(f"{study}{name}." for study in STUDIES for name in NAMES), "results/demo/claims.")
ATTENTION = tuple(
    f"results/demo/normalization/{name}/corrected/seed0/attention/"
    for name in (
        "cifar100_b16_ln",
        *(f"cifar10_b16_{norm}" for norm in ("ln", "ln_in21k", "bn", "gn", "rescale", "rescale_full")),
    )
)
ATTRIBUTION = tuple(
    f"results/demo/{name}/corrected/seed0/attribution/"
    for name in ("flowers/resnet18_from102_clean", "normalization/cifar10_b16_ln", "techniques/resnet18_plain")
)
PROBE = "results/demo/tiny_imagenet/deit/probe_cached/"
AUDITS = ("results/demo/audit/",)
RUN = re.compile(r"/seed\d+/")
DEMO = "workflow/presets/demo.yaml"


def finish(folder: Path) -> set[str]:
    """Put every output of a copy in place, have Snakemake believe that it made them, and return them."""
    made = outputs(folder)
    for name in made:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    snakemake(folder, "--cores", "1", "--touch", "--forceall", "all")
    return made


def outputs(folder: Path) -> set[str]:
    """All files that the workflow makes."""
    done = snakemake(folder, "--cores", "1", "--summary", "all")
    return {line.split("\t")[0] for line in done.stdout.splitlines()[1:] if "\t" in line}


def reasons(folder: Path) -> list[str]:
    """Why each job is due, as `snakemake -n` prints it."""
    done = snakemake(folder, "-n", "--cores", "1", "all")
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Reason: ")]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} no longer holds '{old}'"
    path.write_text(text.replace(old, new))


def below(names: set[str], *prefixes: str) -> set[str]:
    return {name for name in names if name.startswith(prefixes)}


def runs(names: set[str]) -> set[str]:
    return {name for name in names if RUN.search(name)}


@pytest.fixture(scope="module")
def demo(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(project, tmp_path_factory.mktemp("reruns") / "demo")
    return narrow(folder, "tiny_imagenet")


@pytest.fixture(scope="module")
def everything(demo: Path) -> set[str]:
    return finish(demo)


@pytest.fixture
def copy(demo: Path, everything: set[str], tmp_path: Path) -> Path:
    """A finished demo to edit."""
    return Path(shutil.copytree(demo, tmp_path / "copy"))


def test_a_comment_and_a_docstring_in_a_deep_helper_rerun_nothing(copy: Path):
    path = source(copy, files)
    first = path.read_text().splitlines()[0]
    edit(path, first, '"""Other words."""\n\n# and why')
    edit(path, "CHUNK = 1 << 20", "CHUNK  =  (1 << 20)  # a mebibyte")
    assert planned(copy, "all") == set()


def test_what_is_known_of_the_code_is_saved_by_a_run_and_not_by_a_plan(copy: Path):
    (copy / CACHE).unlink()  # which the run in `finish` has made
    snakemake(copy, "-n", "--cores", "1", "all")
    assert not (copy / CACHE).exists()


def test_key_order_notation_and_touched_files_rerun_nothing(copy: Path):
    path = copy / DEMO
    preset = yaml.safe_load(path.read_text())
    flowers = preset["studies"]["flowers"]
    flowers["all"]["recipe"] = dict(reversed(flowers["all"]["recipe"].items()))
    written = yaml.safe_dump(dict(reversed(preset.items())), sort_keys=False)
    path.write_text(written.replace("lr: 0.1\n", "lr: 1.0e-1\n"))
    assert "lr: 1.0e-1" in path.read_text()
    for touched in (*copy.rglob("*.py"), *copy.glob("resources/*/*"), *copy.glob("results/demo/*/*/*/*/*")):
        os.utime(touched, (time.time() + 5, time.time() + 5))
    assert planned(copy, "all") == set()


PIXELS = tuple(f"resources/demo{name}/pixels" for name in ("17", "102", "10", "100", "_tiny"))
HASHES = tuple(name.replace("/pixels", "/hashes") for name in PIXELS)
ALL_RESULTS = (*STUDIES, "results/demo/claims.", "results/demo/report.")
HELPERS = {
    "a part of the audit": (matching, "CHUNK = 4096", ("results/",)),
    "a part of training": (learner, "return 1.0", ALL_RESULTS),
    "a statistic": (statistics, "scatter > 1e-12", (*ALL_TABLES, *ALL_PICTURES, *ATTRIBUTION)),
    "the look of plots": (style, "WIDTH = 9.0", (*ALL_PICTURES, *ATTENTION, *ATTRIBUTION)),
    "a part of packing": (pack, "CHUNK = 32", (*PIXELS, *ALL_RESULTS)),
}


@pytest.mark.parametrize("helper", HELPERS)
def test_a_constant_reruns_its_users_and_what_follows(copy: Path, everything: set[str], helper: str):
    module, constant, due = HELPERS[helper]
    edit(source(copy, module), constant, f"{constant} + 1")
    assert planned(copy, "all") == below(everything, *due)


def test_a_definition_that_nothing_uses_reruns_nothing(copy: Path):
    for module, _, _ in HELPERS.values():
        path = source(copy, module)
        path.write_text(f"{path.read_text()}\nANOTHER_CONSTANT = 1\n\n\ndef another():\n    return ANOTHER_CONSTANT\n")
    assert planned(copy, "all") == set()


def test_the_ground_of_pictures_reruns_hashes_and_pixels_and_what_follows(copy: Path, everything: set[str]):
    configure(copy, pictures={"ground": "#FFF"})  # white in another form
    assert planned(copy, "all") == set()
    configure(copy, pictures={"ground": "black"})
    assert planned(copy, "all") == below(everything, *PIXELS, *HASHES, "results/")


def test_a_learning_rate_reruns_its_experiment_alone(copy: Path, everything: set[str]):
    configure(copy, experiments={"flowers/resnet18_scratch": {"recipe": {"lr": 0.04}}})
    assert planned(copy, "all") == below(everything, f"{FLOWERS}/resnet18_scratch/", *REPORTS)
    why = reasons(copy)
    assert any(": recipe.lr: " in line and line.endswith(" → 0.04") for line in why), why
    assert max(map(len, why)) < 200


def test_a_rate_of_heads_reruns_no_features(copy: Path, everything: set[str]):
    """The backbone has seen the images, and sees them again for a new backbone alone."""
    study = "results/demo/tiny_imagenet"
    tables = [*(f"{study}/{name}." for name in NAMES), f"{study}/figures/", "results/demo/claims."]
    features = below(everything, *(f"{PROBE}seed{seed}/features/" for seed in (0, 1)))
    assert len(features) == 8
    arm = {"probe_cached": {"recipe": {"lr": 0.002}}}
    configure(copy, experiments={"tiny_imagenet/deit": {"arms": arm}})
    due = below(everything, PROBE, *tables, "results/demo/report.")
    assert planned(copy, "all") == due - features
    arm = {"probe_cached": {"recipe": {"lr": 0.002, "interpolation": "bilinear"}}}
    configure(copy, experiments={"tiny_imagenet/deit": {"arms": arm}})
    assert planned(copy, "all") == due


def test_a_pretraining_takes_along_what_starts_from_it(copy: Path, everything: set[str]):
    configure(copy, experiments={"flowers/resnet18_on102_leaky": {"recipe": {"lr": 0.04}}})
    arms = [f"{FLOWERS}/resnet18_{name}_leaky/" for name in ("on102", "from102")]
    assert planned(copy, "all") == below(everything, *arms, *REPORTS)


def test_a_seed_more_reruns_its_group_in_the_demo(copy: Path, everything: set[str]):
    """There, the seeds of an experiment share a process."""
    study = copy / "workflow/studies/flowers.yaml"
    model = "model: {name: resnet18}\n"
    edit(study, f"{model}\n  resnet50", f"{model}    arms: {{corrected: {{seeds: [0, 1, 2]}}}}\n\n  resnet50")
    arm = f"{FLOWERS}/resnet18_scratch/corrected"
    more = {name.replace("/seed0/", "/seed2/") for name in below(everything, f"{arm}/seed0/")}
    assert planned(copy, "all") == below(everything, f"{arm}/", *REPORTS) | more


def test_a_seed_more_is_one_more_run(project: Path, tmp_path: Path):
    """Elsewhere, one job is one run."""
    copy = narrow(copy_project(project, tmp_path / "apart"))
    edit(copy / DEMO, "share_process: true", "share_process: false")
    before = finish(copy)
    configure(copy, seeds=[0, 1, 2])
    more = outputs(copy) - before
    assert planned(copy, "all") == more | below(before, *REPORTS)
    assert {name.rsplit("/", 2)[1] for name in runs(more)} == {"seed2"}


TEXTS = {
    "a title": (
        'title: "{network} on Oxford 102, leaks kept"',
        "title: Small",
        "entries.resnet18_on102_leaky/leaky.title: ",
    ),
    "a published figure": (
        "low: 0.90, high: 0.915",
        "low: 0.91, high: 0.915",
        "entries.resnet18_from102_clean/corrected.published.top1.low: 0.9 → 0.91",
    ),
}


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_only_told_reruns_reports_alone(copy: Path, everything: set[str], text: str):
    edit(copy / "workflow/studies/flowers.yaml", *TEXTS[text][:2])
    assert planned(copy, "all") == below(everything, *REPORTS)
    assert any(TEXTS[text][2] in line for line in reasons(copy))


def test_a_model_that_no_experiment_uses_reruns_nothing(copy: Path):
    path = source(copy, families)
    path.with_name("mine.py").write_text("def build(model, n_classes, *, drop_path, dropout): ...\n")
    new = f'Family("{families.__package__}.mine", lambda: frozenset({{"mine"}}))'
    edit(path, "FAMILIES = (", f"FAMILIES = ({new}, ")
    assert planned(copy, "all") == set()


def test_versions_count_when_they_are_asked_to(copy: Path, everything: set[str]):
    configure(copy, rerun_on_versions=True)
    assert runs(planned(copy, "all")) == runs(everything)


def test_a_changed_archive_reruns_all_that_saw_it(project: Path, tmp_path: Path):
    copy = copy_project(project, tmp_path / "mini")
    archive = copy / "archives/17flowers.tgz"
    archive.parent.mkdir()
    archive.write_bytes(b"images")
    files = {"17flowers.tgz": {"path": "archives/17flowers.tgz"}, "datasplits.mat": "absent"}
    configure(copy, preset="mini", studies=["flowers"], datasets={"oxford17": {"files": files}})
    everything = finish(copy)
    assert planned(copy, "all") == set()
    archive.write_bytes(b"images, and one of them changed")
    audits, flowers = "results/mini/audit", "results/mini/flowers"
    blind = (
        "resources/oxford102/",
        "resources/weights/",
        f"{audits}/oxford102__oxford102/",
        f"{flowers}/resnet18_on102_leaky/",
    )
    assert planned(copy, "all") == everything - below(everything, *blind)


def test_a_touched_file_of_gigabytes_reruns_nothing(project: Path, tmp_path: Path):
    (tmp_path / "Snakefile").write_text(
        'rule copy:\n    input: "big.npy"\n    output: "out.txt"\n    shell: "echo made > {output}"\n'
    )
    big = tmp_path / "big.npy"
    with open(big, "wb") as file:
        file.truncate((2 << 30) + 1)
    asked = ("--cores", "1", "--workflow-profile", str(project / "profiles/default"))
    snakemake(tmp_path, *asked)
    os.utime(big, (time.time() + 5, time.time() + 5))
    done = snakemake(tmp_path, "-n", *asked)
    assert "Nothing to be done" in done.stdout + done.stderr
