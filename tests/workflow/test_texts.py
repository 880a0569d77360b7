"""Titles of any text, and a study whose name has dots, go through plan and report: nothing in them is a wildcard."""

from pathlib import Path

import yaml

from tests.workflow.conftest import configure, snakemake
from tests.workflow.test_places import picture
from tests.workflow.test_reruns import finish

TITLE = '{foo} {0} {a,b} {} {{x}} </script><script>alert(1)</script> <b> & "it\'s" #1 50% $HOME `id`'


def test_a_title_may_hold_any_text(fresh: Path):
    study = yaml.safe_load((fresh / "examples/studies/own_images.yaml").read_text())
    study["title"] = TITLE
    for experiment in study["experiments"].values():
        experiment["title"] = TITLE
    (fresh / "my.stu-dy_1.yaml").write_text(yaml.safe_dump(study))
    mine = {"layout": "folders", "folder": "pictures", "title": TITLE}
    picture(fresh / "pictures/a/0.png", 0)
    configure(fresh, own_studies=["my.stu-dy_1.yaml"], studies=["my.stu-dy_1"], own_datasets={"mine": mine})
    assert any("/my.stu-dy_1/figures/" in path for path in finish(fresh))
    snakemake(fresh, "--cores", "1", "--report", "page.html", "all")
    page = (fresh / "page.html").read_text()
    assert "my.stu-dy_1" in page and "alert(1)" in page
    assert "</script><script>" not in page and "alert(1)</script>" not in page
