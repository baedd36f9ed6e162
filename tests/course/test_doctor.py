"""The set-up test says in one line each what is wrong with a computer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from importlib import metadata

import pytest

from leukhelpers import cli
from leukhelpers.course import doctor

QUICK = "print('TensorFlow works')"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUK_HOME", str(tmp_path / "not" / "yet"))
    return tmp_path


@pytest.fixture
def no_tensorflow(monkeypatch):
    monkeypatch.setattr(doctor, "COMPUTE", QUICK)


def only(name: str) -> doctor.Finding:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "CHECKS", {name: doctor.CHECKS[name]})
        (finding,) = doctor.look()
    assert "\n" not in finding.message
    return finding


@pytest.mark.slow
def test_a_sound_computer_passes_every_check_and_nothing_is_left_behind(home):
    found = list(doctor.look())
    assert [finding for finding in found if not finding.ok] == []
    assert [finding.name for finding in found] == list(doctor.CHECKS)
    assert "TensorFlow 2." in next(f.message for f in found if f.name == "TensorFlow")
    assert list(home.iterdir()) == []


def test_another_python_is_named(monkeypatch):
    monkeypatch.setattr(doctor.platform, "python_version", lambda: "3.9.2")
    assert not only("Python").ok
    assert "Python 3.9.2 is not supported" in only("Python").message


def test_each_package_that_does_not_suit_is_named(monkeypatch):
    real = metadata.version

    def version(name: str) -> str:
        if name == "shap":
            raise metadata.PackageNotFoundError(name)
        return "1.26.4" if name == "numpy" else real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = only("packages")
    assert not found.ok
    assert found.message == "numpy 1.26.4 is not compatible with <2.5,>=2.0; shap is not installed."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compute", "told"),
    [
        ("raise ImportError('libtensorflow is missing')", "libtensorflow is missing"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL"),
        ("import time; time.sleep(60)", "did not start"),
    ],
)
def test_a_broken_tensorflow_is_told_and_not_fatal(monkeypatch, compute, told):
    monkeypatch.setattr(doctor, "COMPUTE", compute)
    if "sleep" in compute:
        monkeypatch.setattr(doctor, "PATIENCE", 1)
    assert not only("TensorFlow").ok
    assert told in only("TensorFlow").message


def test_too_little_memory_or_disk_is_told(monkeypatch):
    monkeypatch.setattr(doctor, "MEMORY_GB", 1e6)
    monkeypatch.setattr(doctor, "DISK_GB", 1e9)
    assert not only("memory").ok
    assert "LEUK_HOME" in only("disk").message


def test_a_work_folder_that_may_not_be_written_is_told(monkeypatch):
    def refuse(**_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    assert not only("disk").ok
    assert "LEUK_HOME" in only("disk").message


def test_a_missing_kernel_is_told(monkeypatch):
    from jupyter_client import kernelspec

    def none(self: object, name: str) -> None:
        raise kernelspec.NoSuchKernel(name)

    monkeypatch.setattr(kernelspec.KernelSpecManager, "get_kernel_spec", none)
    assert "ipykernel" in only("Jupyter").message

    gone = namedtuple("Spec", "argv")(["no-such-python"])
    monkeypatch.setattr(kernelspec.KernelSpecManager, "get_kernel_spec", lambda *_: gone)
    assert "no-such-python" in only("Jupyter").message


def test_a_check_that_breaks_in_any_way_becomes_one_line(monkeypatch):
    def broken() -> str:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(doctor, "CHECKS", {"odd": broken})
    (finding,) = doctor.look()
    assert finding == ("odd", False, "RuntimeError: first line second line")


def test_the_command_ends_with_1_and_says_what_is_wrong(monkeypatch, capsys, no_tensorflow):
    for arguments in (["leuk", "doctor"], ["leuk", "doctor", "--json"]):
        monkeypatch.setattr(sys, "argv", arguments)
        cli.main()
    lines, document = capsys.readouterr().out.split("{", 1)
    assert "✓ TensorFlow: TensorFlow works" in lines
    assert "can run the course" in lines
    assert json.loads("{" + document)["ok"] is True

    monkeypatch.setattr(doctor, "MEMORY_GB", 1e6)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["ok"]
    assert [entry["name"] for entry in told["findings"] if not entry["ok"]] == ["memory"]


def test_the_check_works_where_the_command_line_does_not():
    code = "import sys; sys.modules.update(pandas=None, typer=None, rich=None, tensorflow=None)\n"
    code += "from leukhelpers.course import doctor\n"
    code += f"doctor.COMPUTE = {QUICK!r}\n"
    code += "sys.exit(doctor.main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "✓ TensorFlow: TensorFlow works" in done.stdout
