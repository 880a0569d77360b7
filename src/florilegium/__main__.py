"""`python -m florilegium COMMAND`: commands for use by hand, outside the workflow."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from florilegium.core.errors import exit_codes, run_main

# The module of each command; `explain` is an alias.
COMMANDS = {
    "start": "start",
    "check": "check",
    "audit": "audit",
    "predict": "predict",
    "evaluate": "evaluate",
    "export": "export",
    "provenance": "provenance",
    "explain": "provenance",
    "verify": "verify",
    "reference": "reference",
    "recompute": "recompute",
    "submit": "submit",
    "check-submission": "submit",
}
# What a command looks for, if it ends with exit code 1 where it finds it.
FINDINGS = {
    "audit": "a leak (with --fail-on double also a picture twice in one split)",
    "verify": "a file that disagrees with its receipt",
    "check-submission": "a fault of the submission",
}


def command_line() -> int:
    """Parse the command line and run its command; the exit code."""
    parser = argparse.ArgumentParser(prog="florilegium", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    # Only the named command is imported, so that an audit does not wait for the imports of predictions.
    modules = [COMMANDS[name] for name in sys.argv[1:2] if name in COMMANDS]
    for module in modules or dict.fromkeys(COMMANDS.values()):
        import_module(f"florilegium.commands.{module}").add_parser(subparsers)
    for command, name in {command: name for name, command in subparsers.choices.items()}.items():  # an alias once
        command.epilog = "\n\n".join(filter(None, (command.epilog, exit_codes(FINDINGS.get(name)))))
    arguments = parser.parse_args()
    code: int = arguments.run(arguments)
    return code


def main() -> None:
    name = next((argument for argument in sys.argv[1:2] if argument in COMMANDS), "command")
    run_main(command_line, log=Path("logs") / f"florilegium-{name}.log")


if __name__ == "__main__":
    main()
