"""Look whether this computer can run the course; every finding is one line.

``leuk doctor`` calls it. Where a package is missing that the command line itself needs,
``python -m leukhelpers.course.doctor`` still answers: nothing but the standard library is
imported before it is known to be there.
"""

from __future__ import annotations

import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import NamedTuple

from leukhelpers.files import workspace

# The whole course took 2.3 GB at most (benchmarks/course_cost.py); a browser wants some, too.
MEMORY_GB = 3.0
DISK_GB = 2.0  # the twin, its caches and a few runs; real cells take more
PATIENCE = 300  # seconds for TensorFlow's first import, which a slow disk makes long

# In a process of its own: a TensorFlow that does not suit the processor kills the process.
COMPUTE = """
from leukhelpers.backend import keras, tf

x = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.matmul(x, x))
assert tape.gradient(y, x).numpy().tolist() == [[7.0, 11.0], [9.0, 13.0]], "wrong gradients"
print(f"TensorFlow {tf.__version__} with Keras {keras.__version__} computes")
"""


class Finding(NamedTuple):
    """What was looked at, whether it is right, and one line about it."""

    name: str
    ok: bool
    message: str


class SetupError(Exception):
    """Something of this computer's set-up that is wrong, in one line."""


def look(progress: Callable[[Finding], None] = lambda _: None) -> list[Finding]:
    """Look at all that the course needs, in a fixed order.

    Parameters
    ----------
    progress : callable, optional
        Called with each finding as soon as it is there.
    """
    found = []
    for name, check in CHECKS.items():
        try:
            finding = Finding(name, True, check())
        except Exception as error:  # a broken installation may raise anything
            kind = "" if isinstance(error, SetupError) else f"{type(error).__name__}: "
            finding = Finding(name, False, " ".join(f"{kind}{error}".split()))
        progress(finding)
        found.append(finding)
    return found


def _python() -> str:
    from packaging.specifiers import SpecifierSet

    wanted = metadata.metadata("leukhelpers")["Requires-Python"]
    found = platform.python_version()
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        raise SetupError(f"Python {found} does not suit; the course needs {wanted}.")
    return f"Python {found}"


def _packages() -> str:
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("leukhelpers") or []]
    needed = [entry for entry in wanted if not entry.marker or entry.marker.evaluate({"extra": ""})]
    faults = []
    for entry in needed:
        try:
            found = metadata.version(entry.name)
        except metadata.PackageNotFoundError:
            faults.append(f"{entry.name} is not installed")
            continue
        if not entry.specifier.contains(found, prereleases=True):
            faults.append(f"{entry.name} {found} does not suit {entry.specifier}")
    if faults:
        raise SetupError(f"{'; '.join(faults)}.")
    return f"all {len(needed)} packages are there, in releases that suit"


def _tensorflow() -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-c", COMPUTE], capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise SetupError(f"TensorFlow gave no answer in {PATIENCE} seconds.") from None
    if done.returncode < 0:  # killed by a signal
        name = signal.Signals(-done.returncode).name
        raise SetupError(f"TensorFlow died ({name}); this release may not suit the processor.")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise SetupError(f"TensorFlow does not compute: {last}")
    return done.stdout.strip()


def _memory() -> str:
    import psutil

    free = psutil.virtual_memory().available / 1e9
    if free < MEMORY_GB:
        raise SetupError(
            f"{free:.1f} GB of memory are free, the course needs {MEMORY_GB:.0f}; "
            "close other programs."
        )
    return f"{free:.1f} GB of memory are free"


def _disk() -> str:
    place = workspace()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free / 1e9
    except OSError:
        raise SetupError(
            f"{place} may not be written; name another work folder by LEUK_HOME."
        ) from None
    if free < DISK_GB:
        raise SetupError(
            f"{free:.1f} GB are free at {place}, the course needs {DISK_GB:.0f}; "
            "make room, or name another folder by LEUK_HOME."
        )
    return f"{place} can be written, {free:.0f} GB are free"


def _kernel() -> str:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        kernel = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        raise SetupError(
            "Jupyter has no kernel python3; install ipykernel beside leukhelpers."
        ) from None
    if shutil.which(kernel.argv[0]) is None:
        raise SetupError(f"Jupyter's kernel python3 starts {kernel.argv[0]}, which is not there.")
    return "Jupyter has the kernel python3"


CHECKS: dict[str, Callable[[], str]] = {
    "Python": _python,
    "packages": _packages,
    "TensorFlow": _tensorflow,
    "memory": _memory,
    "disk": _disk,
    "Jupyter": _kernel,
}


def as_line(finding: Finding) -> str:
    """Write a finding as a line for the screen."""
    return f"{'✓' if finding.ok else '✗'} {finding.name}: {finding.message}"


def verdict(found: Iterable[Finding]) -> str:
    """Sum up in one sentence."""
    wrong = sum(not finding.ok for finding in found)
    if not wrong:
        return "This computer can run the course."
    return f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong; see the lines with ✗."


def main() -> int:
    """Look, tell, and give the status: 1 if something is wrong."""
    found = look(lambda finding: print(as_line(finding), flush=True))
    print(verdict(found))
    return int(not all(finding.ok for finding in found))


if __name__ == "__main__":
    sys.exit(main())
