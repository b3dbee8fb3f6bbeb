"""The command line: one file a noun. Thin: a command reads its words, runs one unit of work and prints what came of it."""

from __future__ import annotations

import sys

from sqlalchemy.exc import DBAPIError

from server.errors import JuntoError


def main() -> None:
    """The program `junto`. What goes wrong is one sentence on stderr and exit code 1; wrong usage is exit code 2."""
    from server.cli.root import app

    try:
        app(prog_name="junto")
    except JuntoError as problem:
        print(problem, file=sys.stderr)
        raise SystemExit(1) from None
    except DBAPIError as problem:
        print(f"The database refuses this: {problem.orig}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as problem:
        named = f"{problem.filename}: " if problem.filename else ""
        print(f"{named}{problem.strerror or problem}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
