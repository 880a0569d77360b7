"""Begin with pictures of your own: write a configuration and a study, and say what they will cost."""

import argparse
from pathlib import Path

DESCRIPTION = """\
FOLDER holds a folder of pictures for each class (below train, val and test, or not), or is a COCO file, or a folder
with such files. What is found is told first. Then two files are written into own/<name>/: a configuration, and a study
that compares a network from scratch with the same network from ImageNet, with three seeds each and an audit for leaks.
Snakemake then runs it. Files that are there already are left as they are: they are yours."""
EPILOG = """\
examples:
  python -m florilegium start ~/Desktop/leaves
  python -m florilegium start photographs/annotations.json --name street"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "start",
        help=__doc__,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="pictures in class folders, or a COCO file")
    parser.add_argument("--name", help="of the study and the data set, in letters, digits, _, - and . (the folder's)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, and print what was found, what was written, what it costs and what to do next."""
    from florilegium.commands.check import load
    from florilegium.config.layers import read_configuration
    from florilegium.core.system import say
    from florilegium.own.cost import costs
    from florilegium.own.files import PRESET, write
    from florilegium.own.found import find
    from florilegium.own.names import check_project, chosen_name

    project = Path.cwd()
    check_project(project)
    found = find(args.folder.expanduser(), project)
    name = chosen_name(found.place, args.name, project)
    say(f"{args.folder}: {found.told()}")
    for remark in found.remarks():
        say(f"note: {remark}")
    written = write(found, name, project)
    for path in (written.config, written.study):
        say(f"{path.as_posix()}: " + ("written" if path in written.new else "is there already, and stays as it is"))
    plan, _ = load(project, read_configuration(project, [project / written.config]), answer=None)
    for line in costs(plan, found, name):
        say(line)
    say(f"next: snakemake --cores all all --configfile {written.config.as_posix()}")
    say(f"then: results/{PRESET}/report.html, a page to send")
    return 0
