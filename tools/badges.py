"""Write the public address of the course into every notebook, or remove it.

    python -m tools.badges owner/name    badges that open it in Colab, set-up from there
    python -m tools.badges               no badge; the set-up takes an uploaded wheel

The name is kept in ``tools/repository.txt``. No notebook is run.
"""

from __future__ import annotations

import re
import sys

from leukhelpers.files import write_text
from tools import build

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]*[A-Za-z0-9_-]")


def main(arguments: list[str]) -> int:
    """Stamp what the argument names."""
    home = arguments[0] if arguments else ""
    if len(arguments) > 1 or (home and not NAME.fullmatch(home)):
        given = " ".join(arguments)
        print(f"REPO must be owner/name, as on GitHub, not {given!r}.", file=sys.stderr)
        return 2
    if home:
        write_text(build.REPOSITORY, home + "\n")
    else:
        build.REPOSITORY.unlink(missing_ok=True)
    lessons = build.sources([])
    for lesson in lessons:
        build.write_prose(lesson)
    print(f"{len(lessons)} lessons {f'open from {home}' if home else 'have no public address'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
