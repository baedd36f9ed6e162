"""Look whether this computer can run the course; every finding is one line.

``leuk doctor`` calls it. Where a package is missing that the command line itself needs,
``python -m leukhelpers.course.doctor`` still answers: of what is not in the standard library,
only ``lazy_loader`` is imported before it is known to be there.
"""

import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

from leukhelpers.errors import InputError
from leukhelpers.files import workspace

# The whole course took 2.9 GB at most (benchmarks/course_cost.py); a browser wants some, too.
MEMORY_GB = 3.5
DISK_GB = 2.0  # the twin, its caches and a few runs; real cells take more
PATIENCE = 300  # seconds for TensorFlow's first import, which a slow disk makes long

# In a process of its own: a TensorFlow that does not suit the processor kills the process.
COMPUTE = """
from leukhelpers.backend import keras, tf

x = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.matmul(x, x))
assert tape.gradient(y, x).numpy().tolist() == [[7.0, 11.0], [9.0, 13.0]], "wrong gradients"
print(f"TensorFlow {tf.__version__} with Keras {keras.__version__} works")
"""


class Finding(NamedTuple):
    """What was looked at, whether it is right, and one line about it."""

    name: str
    ok: bool
    message: str


def look() -> Iterator[Finding]:
    """Look at all that the course needs, in a fixed order; each finding comes when it is there."""
    for name, check in CHECKS.items():
        try:
            yield Finding(name, True, check())
        except Exception as error:  # a broken installation may raise anything
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            yield Finding(name, False, " ".join(f"{kind}{error}".split()))


def _python() -> str:
    from packaging.specifiers import SpecifierSet

    wanted = metadata.metadata("leukhelpers")["Requires-Python"]
    found = platform.python_version()
    if not SpecifierSet(wanted).contains(found, prereleases=True):
        raise InputError(f"Python {found} is not supported; the course needs {wanted}.")
    return f"Python {found}"


def _packages() -> str:
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in metadata.requires("leukhelpers") or []]
    needed = [entry for entry in wanted if not entry.marker or entry.marker.evaluate({"extra": ""})]
    faults = []
    for entry in needed:
        try:
            found = metadata.version(entry.name)
            if not entry.specifier.contains(found, prereleases=True):
                faults.append(f"{entry.name} {found} is not compatible with {entry.specifier}")
        except metadata.PackageNotFoundError:
            faults.append(f"{entry.name} is not installed")
    if faults:
        raise InputError(f"{'; '.join(faults)}.")
    return f"all {len(needed)} packages are installed in compatible versions"


def _tensorflow() -> str:
    try:
        started = [sys.executable, "-c", COMPUTE]
        done = subprocess.run(started, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise InputError(f"TensorFlow did not start within {PATIENCE} seconds.") from None
    if done.returncode < 0:  # killed by a signal
        name = signal.Signals(-done.returncode).name
        raise InputError(f"TensorFlow crashed ({name}); it may not support this processor.")
    if done.returncode:
        last = (done.stderr.strip() or "it says nothing").splitlines()[-1]
        raise InputError(f"TensorFlow does not work: {last}")
    return done.stdout.strip()


def _memory() -> str:
    import psutil

    free = psutil.virtual_memory().available / 1e9
    return _enough(free, MEMORY_GB, "of memory are free", "close other programs")


def _disk() -> str:
    place = workspace()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    remedy = "set LEUK_HOME to another folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free / 1e9
    except OSError:
        raise InputError(f"{place} is not writable; {remedy}.") from None
    return _enough(free, DISK_GB, f"are free at {place}", f"free some space, or {remedy}")


def _enough(free: float, needed: float, where: str, remedy: str) -> str:
    """Say how many GB are free; raise InputError if these are too few."""
    if free < needed:
        raise InputError(f"{free:.1f} GB {where}, the course needs {needed:g}; {remedy}.")
    return f"{free:.1f} GB {where}"


def _kernel() -> str:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        raise InputError("Jupyter has no kernel python3; install ipykernel.") from None
    if shutil.which(program) is None:
        raise InputError(f"Jupyter's kernel python3 starts {program}, which is not there.")
    return "Jupyter has the kernel python3"


CHECKS: dict[str, Callable[[], str]] = {
    "Python": _python,
    "packages": _packages,
    "TensorFlow": _tensorflow,
    "memory": _memory,
    "disk": _disk,
    "Jupyter": _kernel,
}


def main() -> int:
    """Look, print, and give the status: 1 if something is wrong."""
    good, bad = "This computer can run the course.", "Something is wrong; see the lines with ✗."
    right = True
    for finding in look():
        print(f"{'✓' if finding.ok else '✗'} {finding.name}: {finding.message}", flush=True)
        right &= finding.ok
    print(good if right else bad)
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
