"""`python -m florilegium COMMAND`: what a person does by hand, outside the workflow."""

import argparse
import sys
from importlib import import_module

from florilegium.core.errors import run_main

COMMANDS = {
    "audit": "audit_folders",
    "predict": "predict",
    "evaluate": "evaluate",
    "explain": "explain",
    "verify": "verify",
    "reference": "reference",
    "recompute": "recompute",
    "submit": "submit",
    "check-submission": "check_submission",
}


def command_line() -> int:
    """Parse the command line and run its command; the exit code."""
    parser = argparse.ArgumentParser(prog="florilegium", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    # A command that is named is imported alone: an audit need not wait for what predictions import.
    named = [command for command in sys.argv[1:2] if command in COMMANDS]
    for command in named or COMMANDS:
        import_module(f"florilegium.stages.{COMMANDS[command]}").add_parser(subparsers)
    arguments = parser.parse_args()
    code: int = arguments.run(arguments)
    return code


def main() -> None:
    run_main(command_line)


if __name__ == "__main__":
    main()
