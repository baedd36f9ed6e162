"""Run the lessons as Google Colab would: its Python, its packages, and nothing but our wheel.

    python -m tools.colab            every lesson
    python -m tools.colab 00 05      only these
    python -m tools.colab --if-possible 00    nothing, with the reason, without CPython 3.13

In a temporary folder; it takes about 2 GB of disk. The set-up cell of the lessons installs the
wheel, and whatever it changes of what was there before is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leukhelpers.files import read_json
from tools import build

ROOT = build.ROOT
PINS = ROOT / "requirements" / "colab.txt"
PIP = ["-m", "pip", "--disable-pip-version-check"]
WHICH = 'import sys; print(*sys.version_info[:2], sep="."); print(sys.executable)'
# What the kernel on Colab has loaded already, and the set-up cell looks for.
ON_COLAB = 'import sys, types\n\nsys.modules["google.colab"] = types.ModuleType("google.colab")\n'


class MirrorError(Exception):
    """What keeps the mirror from being made or from passing, in one sentence."""


class NoPythonError(MirrorError):
    """CPython 3.13 is not on this computer."""


def candidates() -> Iterator[str]:
    """Name the places where CPython 3.13 may be, the likeliest first."""
    yield sys.executable
    for name in ("python3.13", "python3", "python"):
        yield shutil.which(name) or ""
    for folder in sorted(Path.home().glob(".pyenv/versions/3.13*")):
        yield str(folder / "bin" / "python")
    if shutil.which("uv"):
        found = subprocess.run(["uv", "python", "find", "3.13"], capture_output=True, text=True)
        yield found.stdout.strip()


def find_python() -> str:
    """Find an interpreter of CPython 3.13, as Colab has it."""
    for path in filter(None, candidates()):
        try:
            found = subprocess.run([path, "-c", WHICH], capture_output=True, text=True, timeout=60)
        except OSError:
            continue
        version, *executable = found.stdout.splitlines() or [""]
        if version == "3.13":
            return executable[0]
    raise NoPythonError(
        "No CPython 3.13 was found; install one (uv python install 3.13, or pyenv)."
    )


def installed(python: Path) -> dict[str, str]:
    """List the packages of an environment, with their versions."""
    command = [str(python), *PIP, "list", "--format=json"]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {package["name"]: package["version"] for package in listed}


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Name the packages that are no longer what they were."""
    return [
        f"{name} {version} → {after.get(name, 'gone')}"
        for name, version in before.items()
        if after.get(name) != version
    ]


def done(run: Path) -> set[str]:
    """Tell by their numbers which lessons a run has behind it."""
    course = run / "course.json"
    return {name[:2] for name in read_json(course)["lessons"]} if course.is_file() else set()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    print(f"{what} …", flush=True)
    started = time.monotonic()
    yield
    print(f"{what}: {(time.monotonic() - started) / 60:.1f} minutes", flush=True)


def mirror(folder: Path, numbers: list[str]) -> None:
    """Make the environment, install the wheel as on Colab, run the lessons."""
    # Nothing of the checkout, and of no other environment, may be found from inside.
    foreign = ("PYTHON", "VIRTUAL_ENV", "JUPYTER", "IPYTHON", "LEUK_")
    inside = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    content = folder / "content"  # where Colab puts what is uploaded
    content.mkdir()

    def run(*command: str | Path) -> None:
        subprocess.run([str(part) for part in command], cwd=content, env=inside, check=True)

    with timed("Colab's packages on CPython 3.13"):
        run(find_python(), "-m", "venv", folder / "env")
        programs = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
        python = programs / "python"
        run(python, *PIP, "install", "-qq", "-r", PINS)
    with timed("The wheel, by the lessons' set-up cell"):
        wheel = ["wheel", "-qq", "--no-deps", "--no-build-isolation", "-w", content, ROOT]
        run(sys.executable, *PIP, *wheel)
        before = installed(python)
        cell = folder / "setup.py"
        cell.write_text(ON_COLAB + build.setup_cell(""), "utf-8")
        run(python, cell)
        after = installed(python)
    if changed := changes(before, after):
        raise MirrorError(f"The set-up cell changed what Colab has: {', '.join(changed)}.")
    print("Added:", ", ".join(f"{name} {after[name]}" for name in sorted(after.keys() - before)))
    failed = []
    waiting = [source.name[:2] for source in build.sources(numbers)]
    with timed("The lessons"):
        while waiting:  # after one that fails, the others
            try:
                run(programs / "leuk", "run", "--out=run", "--resume", "--only", ",".join(waiting))
                break
            except subprocess.CalledProcessError:
                waiting = [number for number in waiting if number not in done(content / "run")]
                if not waiting:
                    raise  # the report could not be written
                failed.append(waiting.pop(0))
    if failed:
        raise MirrorError(f"On Colab these lessons fail: {', '.join(failed)}.")


def main(arguments: list[str]) -> int:
    """Make the mirror and tell what broke, if anything did."""
    numbers = [argument for argument in arguments if argument != "--if-possible"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            mirror(Path(folder), numbers)
        except NoPythonError as error:
            print(error, file=sys.stderr)
            return 0 if "--if-possible" in arguments else 1
        except MirrorError as error:
            print(error, file=sys.stderr)
            return 1
        except subprocess.CalledProcessError as failed:
            print(f"This failed: {' '.join(failed.cmd)}", file=sys.stderr)
            return 1
    print("The lessons run as on Colab, and nothing that Colab has was changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
