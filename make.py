"""Install the course once, and run one of its tasks; needs nothing but Python.

python3 make.py install    install what the course needs into .venv
python3 make.py course     run every lesson on synthetic cells, write a report
python3 make.py app        open the web page of the latest network
python3 make.py test       check the code, the package and every lesson, in minutes
python3 make.py test-all   what test leaves out: slow tests, notebooks, browser, Colab
python3 make.py mutation   plant faults in the package and count how many the tests find
python3 make.py lessons    build notebooks/ from lessons/
python3 make.py site       build the site from notebooks/ and docs/, into site/; with
                           SITE_URL=https://…/ also its sitemap and previews of links
python3 make.py slides     make slides of the lessons, into slides/
python3 make.py colab      run every lesson as on Google Colab; needs CPython 3.13
python3 make.py bundle     collect for computers without network, into bundle/
python3 make.py badges owner/name    have the notebooks open in Colab, Kaggle and Binder from
                                     there; without a name, from nowhere
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK = ROOT / "requirements" / "lock.txt"
STAMP = VENV / "installed"

PIP = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off"]
# Here words that the course does not use are refused, each with the usual one.
PLAIN = [
    *("README.md", "CONTRIBUTING.md", ".github", "data/cards", "docs", "lessons"),
    *("leukhelpers/course/exercises", "leukhelpers/templates", "leukhelpers/web/index.html"),
]
LINT = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    ["mypy", "--num-workers=2"],
    ["codespell_lib"],
    ["codespell_lib", "--dictionary=requirements/vocabulary.txt", *PLAIN],
]
# A file's tests share what they prepare; the lessons, one test and the longest, come first.
TWO = ["--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder"]
HALF = str(max(1, (os.cpu_count() or 1) // 2))  # of the cores, for each of two processes
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
UNIT = ["pytest", *TWO, "-p", "no:nbval", "-p", "tests.preload"]
# Lesson 05 trains the network that 06 to 09 read: it comes first, and they come last.
LESSONS = [f"notebooks/{path.name}" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
LESSONS.sort(key=lambda name: ("05" not in name, name[10:12] in {"06", "07", "08", "09"}))
NBVAL = ["pytest", *TWO, "--nbval-lax", "--nbval-cell-timeout=600", "-q"]
SITE = [
    ["sphinx", "--fail-on-warning", "--keep-going", "-q", "-c", "docs", ".", "site"],
    ["tools.try_page", "site"],
    ["tools.links", "site"],
]
TASKS = {
    "install": [],
    "course": [["leukhelpers.cli", "run"]],
    "app": [["leukhelpers.cli", "app", "--browser"]],
    "lessons": [["tools.build"], ["tools.schedule"]],
    "slides": [["tools.slides"]],
    "colab": [["tools.colab"]],
    "bundle": [["tools.bundle"]],
    "badges": [["tools.badges"]],
    "mutation": [["tests.mutation"]],
    "site": SITE,
    "test": [*LINT, [*UNIT, "-m", "not slow"]],
    "test-all": [
        [*UNIT, "-m", "slow or hypothesis", "--hypothesis-profile=thorough", "--durations=10"],
        [*NBVAL, *LESSONS],
        *SITE,
        ["tools.phone", "site"],
        ["tools.colab", "--if-possible", "00", "01", "03", "13"],
    ],
}
ASKING = {"badges", "colab", "mutation"}  # these take arguments


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
    # A network that an older version left must not make a test pass.
    with tempfile.TemporaryDirectory() as fresh:
        alone = {**dict.fromkeys(THREADS, HALF), "LEUK_HOME": fresh}
        elsewhere = alone if task.startswith("test") else {}
        for command in TASKS[task]:
            started = time.monotonic()
            status = subprocess.call(
                [str(PYTHON), "-m", *command, *arguments], env={**os.environ, **elsewhere}
            )
            if len(TASKS[task]) > 1:
                seconds = time.monotonic() - started
                print(f"[make {task}] {' '.join(command)[:60]}: {seconds:.0f} s", flush=True)
            if status:
                return status
    return 0


def install() -> None:
    """Make ``.venv`` and fill it from the lock, unless that is done already."""
    basis = [LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), os.fsencode(ROOT)]
    wanted = hashlib.sha256(b"\0".join(basis)).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted and PYTHON.exists():
        return
    # Another folder, another Python or an interrupted installation: begin anew.
    venv.create(VENV, with_pip=True, clear=True)
    # The lock names everything: with nothing left to resolve, no newer release can slip in.
    install_packages("--require-hashes", "--no-deps", "-r", str(LOCK))
    subprocess.check_call(
        [*PIP, "-qq", "--no-deps", "--no-build-isolation", "-e", str(ROOT)],
    )
    STAMP.write_text(wanted)


def install_packages(*arguments: str) -> None:
    """Run pip with one line that says how far it is; print what it wrote only if it fails."""
    log = VENV / "pip.log"
    print("Installing into .venv (once; a few minutes) …", file=sys.stderr, flush=True)
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen([*PIP, *arguments], stdout=file, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(0.5)
            if sys.stderr.isatty():
                print(f"\r{progress(log)}", end="", file=sys.stderr, flush=True)
    print(f"\r{progress(log)}", file=sys.stderr, flush=True)
    if process.returncode:
        sys.stderr.writelines(log.read_text("utf-8", "replace").splitlines(keepends=True)[-20:])
        raise subprocess.CalledProcessError(process.returncode, "pip install")


def progress(log: Path) -> str:
    """Count the packages that pip has fetched and installed, of all in the lock."""
    wrote = log.read_text("utf-8", "replace")
    fetched, skipped = (len(re.findall(f"^{x} ", wrote, re.M)) for x in ("Collecting", "Ignoring"))
    total = len(re.findall(r"^[\w.-]+(?:\[.*\])?==", LOCK.read_text("utf-8"), re.M)) - skipped
    installed = len(list(VENV.glob("[Ll]ib/**/*.dist-info")))
    return f"{fetched} packages fetched and {min(installed, total)} installed, of {total}"


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
