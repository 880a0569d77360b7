"""Draw a data set of the project's own."""

from florilegium.core.errors import run_main
from florilegium.data import synthetic


def main() -> None:
    raise SystemExit(f"{synthetic.__name__} has no command yet")


if __name__ == "__main__":
    run_main(main)
