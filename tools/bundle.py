"""Collect what a workshop without network needs, for computers like this one, into ``bundle/``.

    python -m tools.bundle

Wheels of everything that the lock pins and of the course, the learners' notebooks, the solved
ones, the synthetic cells, and a README with the commands. Collecting needs the network.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

from leukhelpers.datasets import load_dataset
from leukhelpers.files import write_text
from tools import build

ROOT = build.ROOT
BUNDLE = ROOT / "bundle"
LOCK = ROOT / "requirements" / "lock.txt"
PIP = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "-qq", "--no-deps"]
OPTIONS = "--no-index --find-links wheels --no-deps --require-hashes -r requirements.txt"
README = """\
# The course on leukemic and healthy cells, without network

For computers with **{system}** and **Python {version}**, and for no others. Copy this folder to
the computer's disk (the cells alone are thousands of reads), open a terminal in it, and give these
two commands; the second one takes some minutes.

```
{python} -m venv leuk
{inside}python -m pip install {options}
```

pip compares every file with its checksum: one that was damaged on the way is refused by name. Then

```
{inside}leuk doctor
{inside}jupyter lab notebooks
```

- `notebooks/` holds the lessons without answers; the cells in `notebooks/data` are **synthetic**.
- `solutions/` holds them solved, to be read. To run one, copy it into
  `notebooks/` under another name.
- `LICENSE` is for the code, `LICENSE-TEXT` for the text.

For teaching, not for clinical use.
"""


def collect_wheels(folder: Path) -> None:
    """Fetch what the lock pins, each file compared with its checksum, and build the course's."""
    subprocess.run([*PIP, "--require-hashes", "-r", LOCK, "-w", folder], check=True)
    subprocess.run([*PIP, "--no-build-isolation", ROOT, "-w", folder], check=True)


def pins(wheels: Path) -> str:
    """Name every wheel of a folder with its version and its checksum, as pip reads them."""
    lines = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version, *_ = parse_wheel_filename(wheel.name)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{name}=={version} --hash=sha256:{digest}")
    return "\n".join(lines) + "\n"


def readme(windows: bool = os.name == "nt") -> str:
    """Say for which computers the bundle is, and how it is installed there."""
    version = ".".join(platform.python_version_tuple()[:2])
    return README.format(
        system=f"{platform.system()} on {platform.machine()}",
        version=version,
        options=OPTIONS,
        python=f"py -{version}" if windows else f"python{version}",
        inside="leuk\\Scripts\\" if windows else "leuk/bin/",
    )


def fill(folder: Path) -> None:
    """Put everything but the wheels into place; of those, only the list."""
    write_text(folder / "requirements.txt", pins(folder / "wheels"))
    write_text(folder / "README.md", readme())
    for license in ("LICENSE", "LICENSE-TEXT"):
        shutil.copy(ROOT / license, folder)
    for source in build.sources([]):
        for target, solved in build.targets(source):
            place = folder / ("solutions" if solved else "notebooks")
            place.mkdir(exist_ok=True)
            shutil.copy(target, place)


def main() -> int:
    """Collect everything, and put it in the old bundle's place when it is whole."""
    with tempfile.TemporaryDirectory(prefix=".part-", dir=ROOT) as part:
        folder = Path(part) / "bundle"
        print("Wheels …", flush=True)
        try:
            collect_wheels(folder / "wheels")
        except subprocess.CalledProcessError:
            print("pip could not collect the wheels; its words stand above.", file=sys.stderr)
            return 1
        fill(folder)
        print("Synthetic cells …", flush=True)
        load_dataset("twin", folder / "notebooks" / "data")
        shutil.rmtree(BUNDLE, ignore_errors=True)
        folder.rename(BUNDLE)
    size = sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()) / 1e9
    print(f"bundle/ is ready: {size:.1f} GB. Copy it to the stick; its README says how to go on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
