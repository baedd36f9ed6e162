"""C-NMC arrives whole, from a server that misbehaves as from a folder, or not at all."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import kagglehub.clients
import numpy as np
import pytest
import requests
from filelock import FileLock
from kagglesdk import kaggle_env
from PIL import Image

from leukhelpers.data import download
from leukhelpers.data.archive import ArchiveError
from leukhelpers.data.cnmc import FOLDERS
from leukhelpers.data.download import BY_HAND, fetch_cnmc
from leukhelpers.errors import InputError

ASK = "/v1/datasets.DatasetApiService/DownloadDataset"


def draw(seed: int, side: int = 8) -> bytes:
    """Draw a small picture of noise, as the bytes of a BMP."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "BMP")
    return file.getvalue()


FILES = {
    "training_data/fold_0/all/UID_1_1_1_all.bmp": draw(1, 300),  # 270 kB, to be broken off in
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
        self.status = 200  # of Kaggle
        self.storage_status = [200]  # of one transfer after another; the last stays
        self.announced = 0  # bytes added to the true length
        self.md5: str | None = None  # instead of the true one
        self.headers: dict[str, str] = {}  # added to the answers of Kaggle
        self.break_after: list[int] = []  # bytes of one transfer after another
        self.silent = False  # fall silent instead of breaking off
        self.ranges = True
        self.wrong_range = False
        self.asked: list[dict[str, object]] = []
        self.transfers: list[tuple[str | None, int]] = []  # range asked for, bytes sent
        self.over = threading.Event()

    @property
    def checksum(self) -> str:
        if self.md5 is not None:
            return self.md5
        return base64.b64encode(hashlib.md5(self.archive).digest()).decode()

    def handle_error(self, request: object, client_address: object) -> None:
        """Be silent about a client that hangs up."""


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers one request as the server is told to."""

    server: Kaggle

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append({**json.loads(content), "path": self.path})
        status = self.server.status
        if status == 401 and self.headers.get("Authorization"):
            status = 200
        self.send_response(302 if status == 200 else status)
        self.send_header("Location", f"{self.server.url}/storage/archive.zip?signed=1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        kaggle = self.server
        assert urlsplit(self.path).path == "/storage/archive.zip"
        if self.headers["Accept-Encoding"] != "identity":  # only the redirection is followed
            self.reply(200, kaggle.headers, b"")
            return
        status = kaggle.storage_status[0]
        if len(kaggle.storage_status) > 1:
            kaggle.storage_status.pop(0)
        wanted = self.headers["Range"]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if status != 200:
            kaggle.transfers.append((wanted, 0))
            self.reply(status, {"Content-Length": "9"}, b"not found")
        elif wanted and kaggle.ranges:
            end = len(kaggle.archive)
            told = start + 1 if kaggle.wrong_range else start
            self.send_archive(206, {"Content-Range": f"bytes {told}-{end - 1}/{end}"}, start)
        else:
            self.send_archive(200, {}, 0)

    def send_archive(self, status: int, headers: dict[str, str], start: int) -> None:
        kaggle = self.server
        content = kaggle.archive[start:]
        cut = kaggle.break_after.pop(0) if kaggle.break_after else None
        sent = content[:cut]
        kaggle.transfers.append((self.headers["Range"], len(sent)))
        length = str(len(content) + kaggle.announced)
        self.reply(status, {"Content-Length": length, **headers}, sent)
        if cut is not None and kaggle.silent:
            kaggle.over.wait(20)

    def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        kaggle = self.server
        length = str(len(kaggle.archive) + kaggle.announced)
        always = {"Content-Length": length, "Accept-Ranges": "bytes"}
        if kaggle.checksum:
            always["X-Goog-Hash"] = f"crc32c=AAAAAA==,md5={kaggle.checksum}"
        self.send_response(status)
        for name, value in {**always, **headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


@pytest.fixture
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the accounts and proxies of whoever runs the tests."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home"))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "_PAUSE", 0.0)
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
        server.over.set()
        server.shutdown()
        thread.join()


def left(to: Path) -> list[str]:
    """List what lies in the folder, but for the lock."""
    return sorted(path.name for path in to.iterdir() if path.suffix != ".lock")


def partial(to: Path) -> Path | None:
    found = list(to.glob(".part-cnmc-*.archive"))
    assert len(found) <= 1
    return found[0] if found else None


def failure(to: Path, source: Path | None = None) -> str:
    """Fetch, expect one sentence, and check that no tree and no half of one is left."""
    with pytest.raises(InputError) as caught:
        fetch_cnmc(to, source)
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    assert len(message) < 400
    assert all(name.endswith(".archive") for name in left(to))
    return message


def succeed(to: Path) -> None:
    """Fetch, and check that the tree is whole and nothing else is left."""
    fetched = fetch_cnmc(to)
    assert fetched == (to / "C-NMC_Leukemia", True)
    assert read_tree(fetched.root) == FILES
    assert left(to) == ["C-NMC_Leukemia"]


def test_download_gives_the_tree_and_its_progress(kaggle: Kaggle, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    to = tmp_path / "data" / "cnmc"
    fetched = fetch_cnmc(to, progress=lambda *done: seen.append(done))
    assert fetched.root == to / "C-NMC_Leukemia"
    assert fetched.new
    assert read_tree(fetched.root) == FILES
    assert left(to) == ["C-NMC_Leukemia"]
    assert kaggle.transfers == [(None, len(kaggle.archive))]
    assert [(asked["ownerSlug"], asked["datasetSlug"]) for asked in kaggle.asked] == [
        ("andrewmvd", "leukemia-classification")
    ]
    assert kaggle.asked[0]["path"] == ASK
    size, unpacked = len(kaggle.archive), sum(map(len, FILES.values()))
    assert ("downloading", size, size) in seen
    assert seen[-1] == ("unpacking", unpacked, unpacked)


def test_nothing_is_printed_on_standard_output(
    kaggle: Kaggle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    monkeypatch.setattr(kagglehub.clients, "already_printed_version_warning", False)
    kaggle.headers["X-Kaggle-HubVersion"] = "99.0"
    fetch_cnmc(tmp_path / "to")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "outdated" in printed.err


def test_broken_transfer_goes_on_where_it_broke(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.break_after = [150_000, 50_000]
    said: list[str] = []
    fetch_cnmc(tmp_path / "to", say=said.append)
    assert read_tree(tmp_path / "to" / "C-NMC_Leukemia") == FILES
    starts = [int(wanted[6:-1]) if wanted else 0 for wanted, _ in kaggle.transfers]
    assert len(starts) == 3
    assert 0 < starts[1] <= 150_000 < len(kaggle.archive)
    assert starts == sorted(starts)
    assert kaggle.transfers[2][1] == len(kaggle.archive) - starts[2]
    assert [sentence.startswith("The connection broke after") for sentence in said] == [True] * 2


@pytest.mark.slow
def test_second_call_sends_only_the_rest(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.break_after = [150_000] + [0] * 9
    message = failure(tmp_path / "to")
    assert "the same command goes on there" in message
    assert len(kaggle.transfers) == 1 + download._PATIENCE
    part = partial(tmp_path / "to")
    assert part is not None
    have = part.stat().st_size
    assert part.read_bytes() == kaggle.archive[:have]
    assert have > 100_000
    kaggle.break_after, kaggle.transfers = [], []
    succeed(tmp_path / "to")
    assert kaggle.transfers == [(f"bytes={have}-", len(kaggle.archive) - have)]


def test_interrupted_download_goes_on(kaggle: Kaggle, tmp_path: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_cnmc(tmp_path / "to", progress=interrupt)
    kaggle.transfers = []
    succeed(tmp_path / "to")
    assert kaggle.transfers[0][1] < len(kaggle.archive)


def test_download_interrupted_while_unpacking_is_not_sent_again(
    kaggle: Kaggle, tmp_path: Path
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == "unpacking":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_cnmc(tmp_path / "to", progress=interrupt)
    assert left(tmp_path / "to") == [getattr(partial(tmp_path / "to"), "name", None)]
    kaggle.transfers = []
    succeed(tmp_path / "to")
    assert kaggle.transfers == []


def test_silent_server_is_left(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", (1, 0.2))
    kaggle.silent, kaggle.break_after = True, [150_000]
    succeed(tmp_path / "to")
    assert len(kaggle.transfers) == 2


def test_server_that_stays_silent_is_told(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", (1, 0.1))
    kaggle.silent, kaggle.break_after = True, [0]
    assert "no answer in time" in failure(tmp_path / "to")


def test_error_page_is_never_appended_to_the_archive(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.break_after = [150_000]
    kaggle.storage_status = [200, 503, 500, 200]
    succeed(tmp_path / "to")
    assert [wanted is None for wanted, _ in kaggle.transfers] == [True, False, False, False]


def test_storage_that_knows_no_ranges_sends_all_again(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.break_after, kaggle.ranges = [150_000], False
    succeed(tmp_path / "to")
    assert kaggle.transfers[1] == (kaggle.transfers[1][0], len(kaggle.archive))


def test_endless_breaking_at_the_same_place_ends(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.break_after, kaggle.ranges = [150_000, 80_000] * 25, False
    assert "try again later" in failure(tmp_path / "to")
    assert len(kaggle.transfers) == 1 + download._PATIENCE


def test_only_the_part_that_was_asked_for_is_appended(kaggle: Kaggle, tmp_path: Path) -> None:
    stored, archive = download._locate(), tmp_path / "archive"
    archive.write_bytes(kaggle.archive[:1000])
    kaggle.wrong_range = True
    with pytest.raises(requests.ConnectionError, match="another part"):
        download._receive(stored, archive, 1000, lambda *_: None)
    assert archive.read_bytes() == kaggle.archive[:1000]
    kaggle.wrong_range = False
    assert download._receive(stored, archive, 1000, lambda *_: None) == len(kaggle.archive)
    assert archive.read_bytes() == kaggle.archive


def test_another_version_of_the_archive_is_told_with_and_without_a_checksum(
    kaggle: Kaggle,
) -> None:
    first = download._locate().key
    assert download._locate().key == first
    kaggle.archive = zipped("C-NMC_leukemia/")  # the same length
    assert download._locate().key != first
    kaggle.md5, kaggle.headers = "", {"ETag": '"1"'}
    first = download._locate().key
    assert download._locate().key == first
    kaggle.headers = {"ETag": '"2"'}
    assert download._locate().key != first


@pytest.mark.slow
def test_wrong_part_is_not_appended(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.break_after, kaggle.wrong_range = [150_000], True
    failure(tmp_path / "to")
    kaggle.wrong_range = False
    succeed(tmp_path / "to")


@pytest.mark.slow
@pytest.mark.parametrize("with_checksum", [True, False])
def test_archive_shorter_than_announced_is_not_accepted(
    kaggle: Kaggle, tmp_path: Path, with_checksum: bool
) -> None:
    kaggle.announced, kaggle.md5 = 1000, None if with_checksum else ""
    message = failure(tmp_path / "to")
    assert "the transfer broke off" in message or "status 416" in message
    kaggle.announced = 0
    succeed(tmp_path / "to")


@pytest.mark.parametrize(
    ("with_checksum", "reason"), [(True, "wrong checksum"), (False, "download it again")]
)
def test_archive_longer_than_announced_is_not_accepted(
    kaggle: Kaggle, tmp_path: Path, with_checksum: bool, reason: str
) -> None:
    kaggle.announced, kaggle.md5 = -1000, None if with_checksum else ""
    message = failure(tmp_path / "to")
    assert reason in message
    assert message.startswith("The archive from Kaggle")
    assert partial(tmp_path / "to") is None
    kaggle.announced = 0
    succeed(tmp_path / "to")


def test_transfer_that_does_not_end_in_time_is_cut(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    located = download._locate
    # The storage announces less than what it then sends, and sends.
    monkeypatch.setattr(download, "_locate", lambda: located()._replace(n_bytes=100_000))
    message = failure(tmp_path / "to")
    assert "longer than the announced 100000 bytes" in message
    assert partial(tmp_path / "to") is None


@pytest.mark.slow
def test_transfer_that_ends_politely_but_early_is_no_archive(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    located = download._locate
    n_bytes = len(kaggle.archive) + 10
    monkeypatch.setattr(download, "_locate", lambda: located()._replace(n_bytes=n_bytes))
    assert "are kept" in failure(tmp_path / "to")


def test_wrong_checksum_is_not_accepted(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.md5 = base64.b64encode(bytes(16)).decode()
    message = failure(tmp_path / "to")
    assert "wrong checksum" in message
    assert partial(tmp_path / "to") is None
    kaggle.md5 = None
    succeed(tmp_path / "to")


def test_damage_is_found_without_a_checksum(kaggle: Kaggle, tmp_path: Path) -> None:
    whole = kaggle.archive
    kaggle.md5 = ""
    kaggle.archive = whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:]
    message = failure(tmp_path / "to")
    assert message.startswith("The archive from Kaggle is damaged")
    assert partial(tmp_path / "to") is None
    kaggle.archive = whole
    succeed(tmp_path / "to")


@pytest.mark.slow
def test_changed_archive_is_not_joined_to_the_start_of_the_old(
    kaggle: Kaggle, tmp_path: Path
) -> None:
    kaggle.break_after = [150_000] + [0] * 9
    new, kaggle.archive = kaggle.archive, zipped("C-NMC_leukemia/")  # the same length
    assert len(new) == len(kaggle.archive)
    failure(tmp_path / "to")
    kaggle.archive, kaggle.break_after, kaggle.transfers = new, [], []
    succeed(tmp_path / "to")
    assert kaggle.transfers == [(None, len(new))]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_download_says_how_to_log_in(kaggle: Kaggle, tmp_path: Path, status: int) -> None:
    kaggle.status = status
    message = failure(tmp_path / "to")
    assert f"status {status}" in message
    assert "KAGGLE_USERNAME and KAGGLE_KEY" in message
    assert BY_HAND in message
    assert len(kaggle.asked) == 1
    kaggle.status = 200
    succeed(tmp_path / "to")


def test_refusal_in_the_middle_is_not_asked_for_again(kaggle: Kaggle, tmp_path: Path) -> None:
    kaggle.break_after, kaggle.storage_status = [150_000], [200, 403]
    assert "status 403" in failure(tmp_path / "to")
    assert len(kaggle.transfers) == 2


def test_account_of_the_user_is_used(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kaggle.status = 401  # until somebody logs in
    failure(tmp_path / "to")
    monkeypatch.setenv("KAGGLE_USERNAME", "somebody")
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    succeed(tmp_path / "to")


def test_unreadable_account_is_one_sentence(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "kaggle.json").write_text("{")
    assert "kaggle.json; correct it or remove it" in failure(tmp_path / "to")


@pytest.mark.parametrize("where", ["status", "storage_status"])
@pytest.mark.parametrize("status", [404, 500])
def test_error_of_the_server_is_one_sentence(
    kaggle: Kaggle, tmp_path: Path, where: str, status: int
) -> None:
    setattr(kaggle, where, status if where == "status" else [status])
    message = failure(tmp_path / "to")
    assert f"status {status}" in message
    assert ("see https://www.kaggle.com" in message) == (status == 404)
    setattr(kaggle, where, 200 if where == "status" else [200])
    succeed(tmp_path / "to")


def test_archive_of_unknown_length_is_refused(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = Answer.reply
    monkeypatch.setattr(
        Answer,
        "reply",
        lambda self, status, headers, _: reply(self, status, {"Content-Length": ""}, b""),
    )
    assert "does not say how long" in failure(tmp_path / "to")


@pytest.mark.usefixtures("no_account")
def test_without_network_the_way_by_hand_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Kaggle() as gone:
        url = gone.url
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, url)
    message = failure(tmp_path / "to")
    assert "no connection" in message
    assert message.endswith(BY_HAND)


def test_disk_without_room_is_told_before_the_download(
    kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda place: usage._replace(free=10**6))
        assert "3.3 MB of disk space and only 1.0 MB is free" in failure(tmp_path / "to")
    assert kaggle.transfers == []
    succeed(tmp_path / "to")


def test_archive_without_cells_is_refused_and_removed(kaggle: Kaggle, tmp_path: Path) -> None:
    whole, kaggle.archive = kaggle.archive, zipped("a/b/c/d/")
    assert "No C-NMC tree was found" in failure(tmp_path / "to")
    assert partial(tmp_path / "to") is None
    kaggle.archive = whole
    succeed(tmp_path / "to")


@pytest.mark.parametrize("prefix", ["", "C-NMC_Leukemia/", "archive/C-NMC_Leukemia/", "a/b/c/"])
def test_zip_of_the_user_is_taken_and_stays(tmp_path: Path, prefix: str) -> None:
    mine = tmp_path / "mine.zip"
    mine.write_bytes(zipped(prefix))
    fetched = fetch_cnmc(tmp_path / "to", mine)
    assert fetched == (tmp_path / "to" / "C-NMC_Leukemia", True)
    assert read_tree(fetched.root) == FILES
    assert left(tmp_path / "to") == ["C-NMC_Leukemia"]
    assert mine.read_bytes() == zipped(prefix)


@pytest.mark.parametrize("below", [".", "C-NMC_Leukemia", "a/C-NMC_Leukemia", "a/b/C-NMC_Leukemia"])
def test_folder_of_the_user_is_taken_and_stays(tmp_path: Path, below: str) -> None:
    mine = tmp_path / "mine"
    write_tree(mine / below)
    seen: list[tuple[str, int, int]] = []
    fetched = fetch_cnmc(str(tmp_path / "to"), str(mine), progress=lambda *done: seen.append(done))
    assert read_tree(fetched.root) == read_tree(mine / below) == FILES
    assert {what for what, _, _ in seen} == {"copying"}


def test_folder_may_be_named_from_home_or_by_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_tree(tmp_path / "mine")
    (tmp_path / "link").symlink_to("mine")
    assert read_tree(fetch_cnmc(tmp_path / "to", "~/link").root) == FILES


def test_too_deep_a_tree_is_not_found(tmp_path: Path) -> None:
    write_tree(tmp_path / "mine" / "a" / "b" / "c" / "C-NMC_Leukemia")
    assert "at most 3 folders deep" in failure(tmp_path / "to", tmp_path / "mine")


def test_shadow_that_macos_packs_is_passed_over(tmp_path: Path) -> None:
    write_tree(tmp_path / "mine" / "C-NMC_Leukemia")
    (tmp_path / "mine" / "__MACOSX" / "C-NMC_Leukemia" / "training_data").mkdir(parents=True)
    (tmp_path / "mine" / "__MACOSX" / "training_data").mkdir(parents=True)
    assert read_tree(fetch_cnmc(tmp_path / "to", tmp_path / "mine").root) == FILES


def test_two_trees_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("old", "new"):
        write_tree(tmp_path / "mine" / name)
    assert "more than one copy of C-NMC: new and old" in failure(tmp_path / "to", tmp_path / "mine")


def test_linked_tree_is_not_followed(tmp_path: Path) -> None:
    write_tree(tmp_path / "mine" / "C-NMC_Leukemia")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "C-NMC_Leukemia").symlink_to(tmp_path / "mine" / "C-NMC_Leukemia")
    assert "No C-NMC tree was found" in failure(tmp_path / "to", tmp_path / "other")
    (tmp_path / "mine" / "C-NMC_Leukemia" / "link.bmp").symlink_to("nowhere")
    assert "'link.bmp', which is a link" in failure(tmp_path / "to", tmp_path / "mine")


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
    with pytest.raises(ArchiveError, match=r"mine\.zip is no zip or tar"):
        fetch_cnmc(tmp_path / "to", mine)
    assert mine.is_file()


@pytest.mark.parametrize("below", ["", "C-NMC_Leukemia"])
@pytest.mark.parametrize("source", [None, "mine.zip"])
def test_copy_that_is_there_is_left_alone(tmp_path: Path, below: str, source: str | None) -> None:
    root = write_tree(tmp_path / "to" / below)
    said: list[str] = []
    fetched = fetch_cnmc(tmp_path / "to", source, say=said.append)
    assert fetched == (root, False)
    (sentence,) = said
    assert sentence.startswith(f"{root} is there already; nothing was fetched.")
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
    with pytest.raises(InputError, match="exists and is no C-NMC tree"):
        fetch_cnmc(tmp_path / "to")
    assert left(tmp_path / "to") == ["C-NMC_Leukemia"]


def test_place_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "to").write_text("mine")
    with pytest.raises(InputError, match=r"to cannot be used \(File exists\)"):
        fetch_cnmc(tmp_path / "to")


def test_second_process_waits_and_finds_the_copy(tmp_path: Path) -> None:
    to, mine = tmp_path / "to", tmp_path / "mine.zip"
    mine.write_bytes(zipped())
    to.mkdir()
    waiting = threading.Event()
    said: list[str] = []
    results: list[download.Fetched] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        waiting.set()

    with FileLock(to / ".part-cnmc.lock"):
        second = threading.Thread(target=lambda: results.append(fetch_cnmc(to, mine, say)))
        second.start()
        assert waiting.wait(10)
        write_tree(to / "C-NMC_Leukemia")
    second.join(10)
    assert results == [(to / "C-NMC_Leukemia", False)]
    assert said[0].startswith("Another process is fetching")


@pytest.mark.slow
def test_killed_process_leaves_no_tree(tmp_path: Path) -> None:
    to, mine = tmp_path / "to", tmp_path / "mine.zip"
    mine.write_bytes(zipped())
    code = (
        "import os, sys; from leukhelpers.data.download import fetch_cnmc\n"
        "fetch_cnmc(sys.argv[1], sys.argv[2], progress=lambda *done: os._exit(9))"
    )
    done = subprocess.run([sys.executable, "-c", code, to, mine], check=False)
    assert done.returncode == 9
    assert left(to) == [".part-cnmc"]
    assert fetch_cnmc(to, mine).new
    assert left(to) == ["C-NMC_Leukemia"]
    assert read_tree(to / "C-NMC_Leukemia") == FILES
