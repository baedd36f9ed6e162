"""Install the course once, and run one of its tasks; needs nothing but Python.

python3 make.py course     run every lesson on synthetic cells, write a report
python3 make.py app        open the web page of the latest run
python3 make.py test       check the code, the package and the notebooks
python3 make.py lessons    build notebooks/ from lessons/
python3 make.py site       build the site from notebooks/ and docs/, into site/
python3 make.py slides     make slides of the lessons, into slides/
python3 make.py colab      run every lesson as on Google Colab; needs CPython 3.13
python3 make.py bundle     collect for computers without network, into bundle/
python3 make.py badges owner/name    have the notebooks open in Colab from there; without a
                                     name, from nowhere
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK = ROOT / "requirements" / "lock.txt"
STAMP = VENV / "installed"

PIP = ["pip", "install", "--disable-pip-version-check", "--quiet"]
# Two at a time; many a test waits for one core most of its time.
TWO = ["--numprocesses=2", "--dist"]
COVERAGE = ["--cov", "--cov-report=term-missing:skip-covered", "--cov-fail-under=90"]
TASKS = {
    "install": [],
    "course": [["leukhelpers.cli", "run"]],
    "app": [["leukhelpers.cli", "app", "--browser"]],
    "lessons": [["lessons.build"], ["lessons.schedule"]],
    "slides": [["lessons.slides"]],
    "colab": [["lessons.colab"]],
    "bundle": [["lessons.bundle"]],
    "badges": [["lessons.badges"]],
    "site": [
        ["sphinx", "--fail-on-warning", "--keep-going", "-q", "-c", "docs", ".", "site"],
        ["lessons.links", "site"],
    ],
    "test": [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["codespell_lib", "."],
        ["pytest", *TWO, "worksteal", *COVERAGE],
        ["pytest", *TWO, "loadfile", "--nbval-lax", "--nbval-cell-timeout=600", "-q", "notebooks"],
    ],
}
ASKING = {"badges", "colab"}  # these take arguments: a repository, numbers of lessons


def main(task: str = "", *arguments: str) -> int:
    """Do one task, installing first what it needs."""
    if task not in TASKS or (arguments and task not in ASKING):
        print(f"{__doc__}\nThere is no task {' '.join([task, *arguments])!r}.", file=sys.stderr)
        return 2
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        found = sys.version.split()[0]
        print(
            f"This course needs Python 3.11, 3.12 or 3.13; this is {found}. "
            "With make, name another: make course PYTHON=/path/to/python3.12",
            file=sys.stderr,
        )
        return 2
    os.chdir(ROOT)
    install()
    for command in TASKS[task]:
        status = subprocess.call([str(PYTHON), "-m", *command, *arguments])
        if status:
            return status
    return 0


def install() -> None:
    """Make ``.venv`` and fill it from the lock, unless that is done already."""
    basis = [LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), os.fsencode(ROOT)]
    wanted = hashlib.sha256(b"\0".join(basis)).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted and PYTHON.exists():
        return
    print("Installing into .venv (once; a few minutes) …", file=sys.stderr)
    # Another folder, another Python or an interrupted installation: begin anew.
    venv.create(VENV, with_pip=True, clear=True)
    run = [str(PYTHON), "-m", *PIP]
    # The lock names everything: with nothing left to resolve, no newer release can slip in.
    subprocess.check_call([*run, "--require-hashes", "--no-deps", "-r", str(LOCK)])
    subprocess.check_call([*run, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    STAMP.write_text(wanted)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (subprocess.CalledProcessError, OSError) as failed:
        print(
            f"The installation failed: {failed}\n"
            "(On Debian and Ubuntu the package python3-venv is needed.)",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
