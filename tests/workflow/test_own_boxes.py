"""The guide's own COCO file goes through the workflow as it stands there, with a smaller network and fewer epochs."""

from pathlib import Path

from florilegium.config.datasets import Rendering
from florilegium.core.files import read_json
from florilegium.stages.render import render
from tests.workflow.conftest import snakemake
from tests.workflow.test_readme import BLOCKS

SMALL = (
    "{own_boxes/retinanet18: {data: {short_side: 64, long_side: 64}, recipe: {epochs: 2}, model: {arguments: "
    "{norm: gn, blocks: [1, 1, 1, 1], widths: [8, 16, 16, 16], pyramid_width: 16, head_layers: 1}}}}"
)


def test_the_own_boxes_of_the_guide_become_a_report(fresh: Path) -> None:
    render(Rendering(scene="objects", seed=0, size=64, per_class=6), fresh / "photographs")
    (command,) = [line for block in BLOCKS for line in block if "own_boxes" in line]
    _, *arguments = command.split()
    snakemake(fresh, *arguments, "--config", "seeds=[0]", f"experiments={SMALL}")
    study = fresh / "results/mini/own_boxes"
    assert read_json(study / "retinanet18/corrected/seed0/metrics.json")["epochs"] == 2
    told = (study / "comparison.csv").read_text()
    assert "retinanet18,corrected,AP50" in told and "retinanet18,lr0.3x,AP75" in told
    assert "retinanet18,corrected,detection,AR100" in (study / "scores.csv").read_text()
    drawn = {path.stem for path in (study / "figures").glob("*.png")}
    assert {"detections", "misses", "precision_recall", "errors", "curves"} <= drawn
