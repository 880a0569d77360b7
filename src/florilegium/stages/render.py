"""Render a data set of the demo, and list its files.

Reads:  nothing but `--spec`.
Writes: the images, and files.json, their list.
Why:    the demo runs without a network, and its pictures hold the leaks that an audit must find.
"""

from pathlib import Path

from florilegium.config.base import parse
from florilegium.config.datasets import Rendering
from florilegium.core.errors import UserError, run_main
from florilegium.core.files import digest, replacing, write_json
from florilegium.rendering import emblems, flowers, objects
from florilegium.stages.stage import stage, stage_parser

# By scene: the sizes that can be drawn, and a function that draws every file below a folder and returns their paths.
RENDERERS = {
    **dict.fromkeys(flowers.SPLIT_PARTS, (flowers.SIZES, flowers.render)),
    **dict.fromkeys(emblems.CLASSES, (emblems.SIZES, emblems.render)),
    "objects": (objects.SIZES, objects.render),
}


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every file of `rendering` below `folder`; returns their paths inside it, sorted.

    Raises UserError for a size that cannot be drawn.
    """
    scene, size = rendering.scene, rendering.size
    sizes, draw = RENDERERS[scene]
    if size not in sizes:
        raise UserError(f"{scene}: rendered.size = {size} cannot be drawn; give {sizes[0]} to {sizes[-1]}")
    return draw(rendering, folder)


def main() -> None:
    parser = stage_parser(__doc__, out="files.json; the files go beside it", spec="dataset")
    parser.add_argument("--name", required=True, help="the data set's key")
    arguments = parser.parse_args()
    name, root = arguments.name, arguments.out.parent / "files"
    with stage("render", arguments) as receipt:
        rendered = receipt.spec["dataset"].get("rendered")
        if not rendered:
            raise UserError(f"{name}: is not rendered by the project, it has no 'rendered'; fetch it")
        rendering = parse(Rendering, rendered, f"{name}: rendered")
        with replacing(root) as folder:
            images = render(rendering, folder)
        paths = {image: root / image for image in images}
        files = [{"path": i, "bytes": p.stat().st_size, "sha256": digest(p)} for i, p in paths.items()]
        write_json(arguments.out, {"root": root.as_posix(), "origin": [], "files": files})
        receipt.outputs += [arguments.out]
        receipt.facts |= {"n_files": len(files), "bytes": sum(file["bytes"] for file in files)}


if __name__ == "__main__":
    run_main(main)
