"""Write the public address of the course into every notebook, or remove it.

    python -m tools.badges owner/name    badges that open it in Colab, Kaggle and Binder
    python -m tools.badges               no badge; the set-up takes an uploaded wheel

The name is kept in ``tools/repository.txt``. No notebook is run. For ``kaggle kernels push -p
kaggle/<lesson>`` each lesson gets a ``kernel-metadata.json``; if the owner has another name on
Kaggle, change it there.
"""

from __future__ import annotations

import re
import shutil
import sys

from leukhelpers.data.download import HANDLE
from leukhelpers.files import write_json, write_text
from tools import build

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]*[A-Za-z0-9_-]")


def kernel_metadata(name: str, home: str) -> dict[str, object]:
    """Describe a lesson to Kaggle; its title must give the last part of its id."""
    title = f"Leukemic or healthy {name.replace('_', ' ')}"
    return {
        "id": f"{home.partition('/')[0].lower()}/{title.lower().replace(' ', '-')}",
        "title": title,
        "code_file": f"../../notebooks/exercises/{name}.ipynb",
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": False,
        "enable_internet": True,  # the first cell installs the package
        "dataset_sources": [HANDLE],
        "competition_sources": [],
        "kernel_sources": [],
    }


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
    kaggle = build.NOTEBOOKS.parent / "kaggle"
    shutil.rmtree(kaggle, ignore_errors=True)
    for lesson in lessons:
        build.write_prose(lesson)
        if home:
            metadata = kernel_metadata(lesson.stem, home)
            write_json(kaggle / lesson.stem / "kernel-metadata.json", metadata)
    print(f"{len(lessons)} lessons {f'open from {home}' if home else 'have no public address'}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
