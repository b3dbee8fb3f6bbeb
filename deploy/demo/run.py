"""Starts the demo: `python deploy/demo/run.py [--walk]`. Checks the interpreter before anything newer is imported."""

import sys

OLDEST = (3, 11)


def main() -> int:
    """Returns the exit code. Imports late, so that an old interpreter still gets a sentence instead of a traceback."""
    if sys.version_info < OLDEST:
        found = ".".join(str(part) for part in sys.version_info[:3])
        print(
            f"Junto needs Python 3.11 or newer; this is {found}. On Debian 12: apt install python3 python3-venv",
            file=sys.stderr,
        )
        return 1
    from pathlib import Path

    tree = Path(__file__).resolve().parents[2]
    # The script's own directory would let a file here hide a library of the same name.
    sys.path[:] = [str(tree), *[entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent]]
    try:
        from deploy.demo.main import command
    except ModuleNotFoundError as missing:
        print(
            f"{missing.name} is not installed: start the demo with `make run`, which sets everything up.",
            file=sys.stderr,
        )
        return 1
    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
