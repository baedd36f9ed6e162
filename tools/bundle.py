"""Collect in ``bundle/`` what a workshop without network needs, for computers like this one.

    python -m tools.bundle

The bundle has the wheels of all pinned packages and of the course, the exercise notebooks, the
solved ones, the synthetic cells, and a README with the commands. Collecting needs the network.
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
from leukhelpers.models.profiles import PROFILES
from tools import build

ROOT = build.ROOT
BUNDLE = ROOT / "bundle"
LOCK = ROOT / "requirements" / "lock.txt"
PIP = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "-qq", "--no-deps"]
OPTIONS = "--no-index --find-links wheels --no-deps --require-hashes -r requirements.txt"
README = """\
# The course on leukemic and healthy cells, without network

This bundle works on computers with **{system}** and **Python {version}** only. Copy this folder to
the computer's disk; from a USB stick the thousands of small files are slow to read. Open a terminal
in the folder and run these two commands. The second one takes a few minutes.

```
{python} -m venv leuk
{inside}python -m pip install {options}
```

pip compares every file with its checksum. If a file was damaged, pip stops and names it. Then run

```
{inside}leuk doctor
{inside}jupyter lab --LabApp.default_url=/lab/tree/notebooks
```

- `notebooks/` holds the lessons without solutions. The cells in `notebooks/data` are **synthetic**.
- `solutions/` holds the lessons with solutions, for reading. To run one, copy it into `notebooks/`
  under another name.
- `docs/` holds the pages that the lessons link to, such as the glossary.
- `LICENSE` applies to the code, `LICENSE-TEXT` to the text.

For teaching, not for clinical use.
"""


def collect_wheels(folder: Path) -> None:
    """Download the pinned wheels, compare each with its checksum, and build the course's wheel."""
    subprocess.run([*PIP, "--require-hashes", "-r", LOCK, "-w", folder], check=True)
    subprocess.run([*PIP, "--no-build-isolation", ROOT, "-w", folder], check=True)


def pins(wheels: Path) -> str:
    """List the wheels of a folder with version and checksum, in the format of pip."""
    lines = []
    for wheel in sorted(wheels.glob("*.whl")):
        name, version, *_ = parse_wheel_filename(wheel.name)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{name}=={version} --hash=sha256:{digest}")
    return "\n".join(lines) + "\n"


def readme(windows: bool = os.name == "nt") -> str:
    """Return the README: for which computers the bundle is, and how to install it."""
    version = ".".join(platform.python_version_tuple()[:2])
    return README.format(
        system=f"{platform.system()} on {platform.machine()}",
        version=version,
        options=OPTIONS,
        python=f"py -{version}" if windows else f"python{version}",
        inside="leuk\\Scripts\\" if windows else "leuk/bin/",
    )


def fill(folder: Path) -> None:
    """Write everything except the wheels; of those, only the list."""
    write_text(folder / "requirements.txt", pins(folder / "wheels"))
    write_text(folder / "README.md", readme())
    for license in ("LICENSE", "LICENSE-TEXT"):
        shutil.copy(ROOT / license, folder)
    for source in build.sources([]):
        for target, solved in build.targets(source):
            place = folder / ("solutions" if solved else "notebooks")
            place.mkdir(exist_ok=True)
            # The learners' notebooks lie one folder less deep than in the repository.
            text = target.read_text("utf-8").replace("(../../docs/", "(../docs/")
            write_text(place / target.name, text)
    (folder / "docs").mkdir()
    for page in (ROOT / "docs").glob("*.md"):
        shutil.copy(page, folder / "docs")


def main() -> int:
    """Collect everything; replace the old bundle when the new one is complete."""
    with tempfile.TemporaryDirectory(prefix=".part-", dir=ROOT) as part:
        folder = Path(part) / "bundle"
        print("Wheels …", flush=True)
        try:
            collect_wheels(folder / "wheels")
        except subprocess.CalledProcessError:
            print("pip could not collect the wheels; see its messages above.", file=sys.stderr)
            return 1
        fill(folder)
        print("Synthetic cells …", flush=True)
        load_dataset("twin", folder / "notebooks" / "data", PROFILES["fast"].twin_images)
        shutil.rmtree(BUNDLE, ignore_errors=True)
        folder.rename(BUNDLE)
    size = sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()) / 1e9
    print(
        f"bundle/ is ready: {size:.1f} GB. Copy it to a USB stick; its README has the next steps."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
