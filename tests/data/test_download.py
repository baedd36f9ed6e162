"""C-NMC arrives whole, from a server that misbehaves as from a folder, or not at all."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import kagglehub.clients
import numpy as np
import pytest
from filelock import FileLock
from kagglesdk import kaggle_env
from PIL import Image

from leukhelpers.data.cnmc import FOLDERS
from leukhelpers.data.download import BY_HAND, fetch_cnmc
from leukhelpers.errors import InputError


def draw(seed: int, side: int = 8) -> bytes:
    """Draw a small picture of noise, as the bytes of a BMP."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()


FILES = {
    "training_data/fold_0/all/UID_1_1_1_all.bmp": draw(1, 700),  # 1.5 MB, to be broken off in
    "training_data/fold_0/hem/UID_H1_1_1_hem.bmp": draw(2),
    "training_data/fold_1/all/UID_2_1_1_all.bmp": draw(3),
    f"{FOLDERS['preliminary']}/1.bmp": draw(4),
    f"{FOLDERS['preliminary']}_labels.csv": b"Patient_ID,new_names,labels\nUID_3_1_1,1.bmp,1\n",
}


def zipped(prefix: str = "C-NMC_Leukemia/") -> bytes:
    """Pack the pictures without compression."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name, content in FILES.items():
            opened.writestr(zipfile.ZipInfo(prefix + name), content)
    return file.getvalue()


def write_tree(root: Path) -> Path:
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def read_tree(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


class Kaggle(http.server.ThreadingHTTPServer):
    """Plays Kaggle and its storage, with the faults that a test sets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.archive = zipped()
        self.status = 200
        self.md5: str | None = None  # instead of the true one
        self.break_after: list[int] = []  # bytes of one transfer after another
        self.asked: list[dict[str, object]] = []
        self.transfers: list[tuple[str | None, int]] = []  # range asked for, bytes sent

    def handle_error(self, request: object, client_address: object) -> None:
        """Be silent about a client that hangs up."""


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers one request as the server is told to."""

    server: Kaggle

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        kaggle = self.server
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kaggle.asked.append(asked)
        status = kaggle.status
        if status == 401 and self.headers.get("Authorization"):
            status = 200
        content = b"" if status == 200 else b'{"message": "no"}'
        if status == 200 and self.path.endswith("/GetDataset"):
            content = b'{"currentVersionNumber": 2}'
        self.send_response(302 if status == 200 and not content else status)
        self.send_header("Location", f"{kaggle.url}/storage/archive.zip")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        kaggle = self.server
        wanted = self.headers["Range"]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        content = kaggle.archive[start:]
        cut = kaggle.break_after.pop(0) if kaggle.break_after else None
        kaggle.transfers.append((wanted, len(content[:cut])))
        md5 = kaggle.md5 or base64.b64encode(hashlib.md5(kaggle.archive).digest()).decode()
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("X-Goog-Hash", f"crc32c=AAAAAA==,md5={md5}")
        self.end_headers()
        self.wfile.write(content[:cut])


@pytest.fixture
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the accounts, caches and proxies of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    # It reads the source of every caller, and pytest's callers are many.
    monkeypatch.setattr(kagglehub.clients, "search_lib_in_call_stack", lambda name: None)


@pytest.fixture
def kaggle(no_account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kaggle]:
    """A local Kaggle; the client has no setting for an address, so its table is changed."""
    with Kaggle() as server:
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, server.url)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def left(to: Path) -> list[str]:
    """List what lies in the folder, but for the lock."""
    return sorted(path.name for path in to.iterdir() if path.suffix != ".lock")


def failure(to: Path, source: Path | None = None) -> str:
    """Fetch, expect one sentence, and check that no tree and no half of one is left."""
    with pytest.raises(InputError) as caught:
        fetch_cnmc(to, source)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    assert len(message) < 400
    assert left(to) == []
    return message


def succeed(to: Path) -> None:
    """Fetch, and check that the tree is whole and nothing else is left."""
    fetched = fetch_cnmc(to)
    assert fetched == to / "C-NMC_Leukemia"
    assert read_tree(fetched) == FILES
    assert left(to) == ["C-NMC_Leukemia"]


def test_download_gives_the_tree_and_prints_nothing_on_standard_output(
    kaggle: Kaggle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    succeed(tmp_path / "data" / "cnmc")
    assert kaggle.transfers == [(None, len(kaggle.archive))]
    assert [(asked["ownerSlug"], asked["datasetSlug"]) for asked in kaggle.asked] == [
        ("andrewmvd", "leukemia-classification")
    ] * 2
    assert capsys.readouterr().out == ""


def test_second_call_sends_only_the_rest(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.break_after = [1_300_000]
    message = failure(tmp_path / "to")
    assert "call the same command again, which goes on there" in message
    succeed(tmp_path / "to")
    wanted, rest = kaggle.transfers[-1]
    assert wanted is not None
    assert int(wanted[6:-1]) > 1_000_000
    assert int(wanted[6:-1]) + rest == len(kaggle.archive)


def test_wrong_checksum_is_not_accepted(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.md5 = base64.b64encode(bytes(16)).decode()
    assert "failed" in failure(tmp_path / "to")
    kaggle.md5 = None
    succeed(tmp_path / "to")


@pytest.mark.parametrize("status", [401, 403])
def test_refused_download_says_how_to_log_in(kaggle: Kaggle, tmp_path: Path, status: int) -> None:
    kaggle.status = status
    message = failure(tmp_path / "to")
    assert f"status {status}" in message
    assert "KAGGLE_USERNAME and KAGGLE_KEY" in message
    assert BY_HAND in message
    kaggle.status = 200
    succeed(tmp_path / "to")


def test_account_of_the_user_is_used(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.status = 401  # until somebody logs in
    failure(tmp_path / "to")
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    succeed(tmp_path / "to")


def test_unreadable_account_is_one_sentence(kaggle: Kaggle, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "kaggle.json").write_text("{")
    assert "kaggle.json" in failure(tmp_path / "to")


@pytest.mark.parametrize("status", [404, 500])
def test_error_of_the_server_is_one_sentence(kaggle: Kaggle, tmp_path: Path, status: int) -> None:
    kaggle.status = status
    message = failure(tmp_path / "to")
    assert f"status {status}" in message
    assert BY_HAND in message


@pytest.mark.usefixtures("no_account")
def test_without_network_the_way_by_hand_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Kaggle() as gone:
        url = gone.url
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, url)
    message = failure(tmp_path / "to")
    assert "is unreachable" in message
    assert message.endswith(BY_HAND)


def test_archive_without_cells_is_refused(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.archive = zipped().replace(b"_data", b"_dota")
    assert "There are 0 copies of C-NMC" in failure(tmp_path / "to")


@pytest.mark.parametrize("prefix", ["", "C-NMC_Leukemia/", "archive/C-NMC_Leukemia/", "a/b/c/"])
def test_zip_of_the_user_is_taken_and_stays(tmp_path: Path, prefix: str) -> None:
    mine = tmp_path / "mine.zip"
    mine.write_bytes(zipped(prefix))
    fetched = fetch_cnmc(tmp_path / "to", mine)
    assert fetched == tmp_path / "to" / "C-NMC_Leukemia"
    assert read_tree(fetched) == FILES
    assert left(tmp_path / "to") == ["C-NMC_Leukemia"]
    assert mine.read_bytes() == zipped(prefix)


@pytest.mark.parametrize("below", [".", "C-NMC_Leukemia", "a/C-NMC_Leukemia", "a/b/C-NMC_Leukemia"])
def test_folder_of_the_user_is_taken_and_stays(tmp_path: Path, below: str) -> None:
    mine = tmp_path / "mine"
    write_tree(mine / below)
    seen: list[tuple[int, int]] = []
    fetched = fetch_cnmc(tmp_path / "to", mine, progress=lambda *done: seen.append(done))
    assert read_tree(fetched) == read_tree(mine / below) == FILES
    assert seen[-1] == (sum(map(len, FILES.values())),) * 2


def test_folder_may_be_named_from_home_or_by_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_tree(tmp_path / "mine")
    (tmp_path / "link").symlink_to("mine")
    assert read_tree(fetch_cnmc(tmp_path / "to", Path("~/link"))) == FILES


def test_shadow_that_macos_packs_is_passed_over(tmp_path: Path) -> None:
    write_tree(tmp_path / "mine" / "C-NMC_Leukemia")
    (tmp_path / "mine" / "__MACOSX" / "C-NMC_Leukemia" / "training_data").mkdir(parents=True)
    (tmp_path / "mine" / "__MACOSX" / "training_data").mkdir(parents=True)
    assert read_tree(fetch_cnmc(tmp_path / "to", tmp_path / "mine")) == FILES


def test_two_trees_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("old", "new"):
        write_tree(tmp_path / "mine" / name)
    assert "There are 2 copies of C-NMC" in failure(tmp_path / "to", tmp_path / "mine")


def test_linked_tree_is_not_followed(tmp_path: Path) -> None:
    write_tree(tmp_path / "mine" / "C-NMC_Leukemia")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "C-NMC_Leukemia").symlink_to(tmp_path / "mine" / "C-NMC_Leukemia")
    assert "There are 0 copies of C-NMC" in failure(tmp_path / "to", tmp_path / "other")
    (tmp_path / "mine" / "C-NMC_Leukemia" / "link.bmp").symlink_to("nowhere")
    assert "links or devices" in failure(tmp_path / "to", tmp_path / "mine")


def test_target_inside_the_source_is_refused(tmp_path: Path) -> None:
    write_tree(tmp_path / "mine")
    before = read_tree(tmp_path / "mine")
    with pytest.raises(InputError, match="would lie inside"):
        fetch_cnmc(tmp_path / "mine" / "to", tmp_path / "mine")
    after = read_tree(tmp_path / "mine")
    assert {name: content for name, content in after.items() if ".lock" not in name} == before


def test_source_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    assert "does not exist; name a zip" in failure(tmp_path / "to", tmp_path / "mine.zip")


def test_bad_zip_of_the_user_is_not_removed(tmp_path: Path) -> None:
    mine = tmp_path / "mine.zip"
    mine.write_bytes(zipped()[:-30])
    with pytest.raises(InputError, match=r"mine\.zip is no zip archive"):
        fetch_cnmc(tmp_path / "to", mine)
    assert mine.is_file()


@pytest.mark.parametrize("below", ["", "C-NMC_Leukemia"])
@pytest.mark.parametrize("source", [None, "mine.zip"])
def test_copy_that_is_there_is_left_alone(tmp_path: Path, below: str, source: str | None) -> None:
    root = write_tree(tmp_path / "to" / below)
    said: list[str] = []
    fetched = fetch_cnmc(tmp_path / "to", source, say=said.append)
    assert fetched == root
    (sentence,) = said
    assert sentence.startswith(f"{root} already exists; nothing was downloaded.")
    assert "move it away" in sentence
    assert {name: FILES.get(name) for name in read_tree(root) if ".lock" not in name} == FILES


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_something_else_in_the_place_is_refused(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "to" / "C-NMC_Leukemia"
    (tmp_path / "to").mkdir()
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    with pytest.raises(InputError, match="exists and is no copy of C-NMC"):
        fetch_cnmc(tmp_path / "to")
    assert left(tmp_path / "to") == ["C-NMC_Leukemia"]


def test_place_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "to").write_text("mine")
    with pytest.raises(InputError, match=r"to cannot be used \(File exists\); name another"):
        fetch_cnmc(tmp_path / "to")


def test_second_process_is_refused_while_the_first_fetches(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    with FileLock(tmp_path / "to" / ".part-cnmc.lock"):
        assert "Another process is fetching" in failure(tmp_path / "to", write_tree(tmp_path / "a"))


@pytest.mark.slow
def test_killed_process_leaves_no_tree(tmp_path: Path) -> None:
    to, mine = tmp_path / "to", tmp_path / "mine.zip"
    mine.write_bytes(zipped())
    code = (
        "import os, sys; from pathlib import Path\n"
        "from leukhelpers.data.download import fetch_cnmc\n"
        "fetch_cnmc(*map(Path, sys.argv[1:]), progress=lambda *done: os._exit(9))"
    )
    done = subprocess.run([sys.executable, "-c", code, to, mine], check=False)
    assert done.returncode == 9
    assert left(to) == [".part-.part-cnmc"]
    assert read_tree(fetch_cnmc(to, mine)) == FILES
    assert left(to) == ["C-NMC_Leukemia"]
    assert read_tree(to / "C-NMC_Leukemia") == FILES
