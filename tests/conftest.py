"""What several test modules share: real cells where they are, and drawn ones anywhere."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from PIL import Image

from leukhelpers.data.pictures import load_image

# A busy machine is slow, not wrong.
settings.register_profile("course", deadline=None, max_examples=15)
settings.register_profile("thorough", deadline=None, max_examples=50)
settings.load_profile("course")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a browser is slow; the files that take longest come first."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    names = ("smoke", "own_data", "documented_commands", "jupyterlab")
    longest = tuple(f"tests/test_{name}.py" for name in names)
    items.sort(key=lambda item: not item.nodeid.startswith(longest))


def draw_disc(seed: int, radius: int = 60, side: int = 450) -> np.ndarray:
    """Draw a noisy disc on black; no two seeds give the same pixels."""
    rng = np.random.default_rng(seed)
    cell = np.zeros((side, side, 3), np.uint8)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (x**2 + y**2 <= radius**2)[..., None]
    noise = rng.integers(90, 200, (2 * radius + 1, 2 * radius + 1, 3), dtype=np.uint8)
    middle = slice(side // 2 - radius, side // 2 + radius + 1)
    cell[middle, middle] = noise * disc
    return cell


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give one folder to all processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def make_tree(folder: Path, n_all: int = 8, n_hem: int = 6, cells: int | None = None) -> Path:
    """Write a C-NMC tree of drawn cells: `cells` (or 3 to 6) a subject, folds 0, 1, 2 in turn."""
    root = folder / "C-NMC_Leukemia"
    subjects = [(str(number), "all") for number in range(1, n_all + 1)]
    subjects += [(f"H{number}", "hem") for number in range(1, n_hem + 1)]
    seed = 0
    for order, (subject, ending) in enumerate(subjects):
        place = root / "training_data" / f"fold_{order % 3}" / ending
        place.mkdir(parents=True, exist_ok=True)
        for cell in range(cells or 3 + order % 4):
            radius = (50 if ending == "all" else 40) + seed % 7
            picture = Image.fromarray(draw_disc(seed, radius))
            picture.save(place / f"UID_{subject}_{cell + 1}_1_{ending}.bmp")
            seed += 1
    return root


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cells, which only developers have."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LEUK_SHARED_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("the real cells are not here (LEUK_SHARED_DATA, or ../shared/data)")
    return folder


@pytest.fixture
def tiny_cnmc(tmp_path: Path) -> Path:
    """A C-NMC tree of 8 leukemic and 6 healthy subjects with 3 to 6 drawn cells each."""
    return make_tree(tmp_path / "tiny")


@pytest.fixture
def small_cnmc(tmp_path: Path) -> Path:
    """A C-NMC tree of 2 + 1 subjects with 2 drawn cells each: UID_1, UID_2, UID_H1."""
    return make_tree(tmp_path / "small", 2, 1, 2)


@pytest.fixture(scope="session")
def disc() -> Callable[..., np.ndarray]:
    """Return the function that draws one cell."""
    return draw_disc


@pytest.fixture(scope="session")
def slow_reader() -> str:
    """Return code for a process that fills a cache slowly and tells each picture it reads."""
    return """
import pathlib, sys, time
from leukhelpers.images import preprocessing
from leukhelpers.data.cnmc import read_cnmc

dataset = read_cnmc(pathlib.Path(sys.argv[1]))
read = preprocessing.load_image

def slow(path):
    print("read", path, flush=True)
    time.sleep(float(sys.argv[3]))
    return read(path)

preprocessing.load_image = slow
array = preprocessing.build_pixels(dataset, sys.argv[2], size=16, crop=128).array
print("sum", int(array.sum()), flush=True)
"""


@pytest.fixture(scope="session")
def tiny_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of `tiny_cnmc`, drawn once for all; not to be changed."""
    folder = shared_folder(tmp_path_factory) / "tree"
    with FileLock(f"{folder}.lock"):
        return folder / "C-NMC_Leukemia" if folder.is_dir() else make_tree(folder)


@pytest.fixture
def record_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], list[str]]:
    """Return a function that has a module tell the name of every picture it opens."""

    def record(module: object) -> list[str]:
        seen: list[str] = []

        def recorded(path: Path) -> Image.Image:
            seen.append(path.name)
            return load_image(path)

        monkeypatch.setattr(module, "load_image", recorded)
        return seen

    return record


@pytest.fixture(scope="session")
def tiny_prepared(tiny_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    """Pictures of `tiny_tree`, for a network that learns in a second; not to be changed."""
    from leukhelpers.data.cnmc import read_cnmc
    from leukhelpers.models import prepare, profiles

    tiny = profiles.Profile("tiny", 60, 14, epochs=2, size=32, box_size=32, batch_size=16)
    return prepare.prepare(read_cnmc(tiny_tree), tiny, 0, shared_folder(tmp_path_factory))


def trained_once(prepared: object, name: str) -> object:
    """Train a model with one fold held out; the second process of a test run reads it."""
    from leukhelpers.experiments import storage, train

    folder = prepared.data / name
    with FileLock(f"{folder}.lock"):
        if (folder / "run.json").is_file():
            return storage.read_run(folder)
        return train.train_run(folder, prepared, fold=0, name=name)


@pytest.fixture(scope="session")
def tiny_run(tiny_prepared: object) -> object:
    """A finished run of `tiny_prepared` that held one fold out; not to be changed."""
    return trained_once(tiny_prepared, "cnn")


@pytest.fixture(scope="session")
def tiny_svm_run(tiny_prepared: object) -> object:
    """The same with an SVM; not to be changed."""
    return trained_once(tiny_prepared, "svm")


@pytest.fixture(scope="session")
def tiny_served(tiny_run: object) -> object:
    """The run of `tiny_run`, ready to answer."""
    from leukhelpers.serving import predict

    return predict.load(tiny_run.folder)


@pytest.fixture(scope="module")
def port() -> int:
    """A port that is free at the moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A Chromium without a window; for one module, since it holds an event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.skip("no chromium here; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()
