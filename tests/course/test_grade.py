"""What learners handed in becomes a table; nothing of theirs runs unless it is asked for."""

from __future__ import annotations

import json
import os
import sys

import nbformat
import pandas as pd
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from leukhelpers import cli
from leukhelpers.course import grade
from leukhelpers.errors import InputError

RIGHT = {"00.1": "✓ Exercise 00.1: right.\n", "00.2": "✗ Exercise 00.2: a hint.\n"}


def lesson(printed=None, code=""):
    """Write a notebook with the three checks of lesson 00 and what they printed."""
    cells = [new_code_cell(code)]
    for number in ("00.1", "00.2", "00.3"):
        cells.append(new_code_cell(f'answer = ...\nlk.check("{number}", answer)'))
        if text := (RIGHT if printed is None else printed).get(number):
            cells[-1].outputs = [new_output("stream", text=text)]
    return new_notebook(cells=cells)


def hand_in(folder, name, notebook=None, encoding="utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(nbformat.writes(notebook or lesson()).encode(encoding))


def read(folder, **options):
    return {entry["file"]: entry for entry in grade.grade(folder, **options)}


def test_saved_outputs_say_how_each_check_ended(tmp_path):
    notebook = lesson({**RIGHT, "00.3": "✗ Exercise 00.3: no.\n✓ Exercise 00.3: right.\n"})
    hand_in(tmp_path, "ann/00_start_here.ipynb", notebook)
    hand_in(tmp_path, "bob/00_start_here.ipynb")
    found = read(tmp_path)
    states = found["ann/00_start_here.ipynb"]["states"]
    assert states == {"00.1": "passed", "00.2": "failed", "00.3": "passed"}
    assert found["bob/00_start_here.ipynb"]["states"]["00.3"] == "not run"


def test_a_line_counts_only_below_its_own_check(tmp_path):
    text = "".join(f"✓ Exercise {number}: right.\n" for number in ("00.1", "00.2", "00.3"))
    cells = [new_code_cell("print()", outputs=[new_output("stream", text=text)])]
    cells += [new_code_cell(f"# lk.check('{n}')") for n in ("00.1", "00.2")]
    cells += [new_code_cell("lk.check('00.3', 1)")]
    hand_in(tmp_path, "ann.ipynb", new_notebook(cells=cells))
    states = {"00.1": "missing", "00.2": "missing", "00.3": "not run"}
    assert read(tmp_path)["ann.ipynb"]["states"] == states


@pytest.mark.parametrize(
    ("name", "learner"),
    [
        ("ann/deep/00_start_here.ipynb", "ann"),
        ("ann_00_start_here.ipynb", "ann"),
        ("Ann Lee-00_start_here-Copy1.ipynb", "Ann Lee"),
        ("Ann Lee_123_file_00_start_here (2).IPYNB", "Ann Lee_123_file"),
        ("00_start_here.ipynb", "room 1"),
        ("7.ipynb", "7"),
        ("00_start_here_bob.ipynb", "00_start_here_bob"),
        ("cleo_00_start_here-1.ipynb", "cleo"),
        ("cleo_00_start_here - Copy (2).ipynb", "cleo"),
    ],
)
def test_the_learner_is_the_first_folder_or_stands_before_the_lessons_name(name, learner, tmp_path):
    hand_in(tmp_path / "room 1", name)
    assert [entry["learner"] for entry in grade.grade(tmp_path / "room 1")] == [learner]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows such names")
def test_a_name_that_is_not_utf_8_is_shown_with_a_question_mark(tmp_path):
    hand_in(tmp_path, "ann.ipynb")
    os.rename(os.fsencode(tmp_path / "ann.ipynb"), os.fsencode(tmp_path) + b"/m\xfcller.ipynb")
    entries = list(grade.grade(tmp_path))
    assert [entry["learner"] for entry in entries] == ["m?ller"]
    grade.write_table(grade.to_table(entries), tmp_path / "grades.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings_are_read(encoding, tmp_path):
    hand_in(tmp_path, "ann.ipynb", encoding=encoding)
    assert read(tmp_path)["ann.ipynb"]["states"]["00.1"] == "passed"


def test_a_notebook_of_colab_is_read_though_parts_are_left_out(tmp_path):
    check = {"cell_type": "code", "source": ["lk.check('00.1', 1)"], "metadata": {"id": "x"}}
    check["outputs"] = [{"output_type": "stream", "name": "stdout", "text": [RIGHT["00.1"]]}]
    notebook = {"nbformat": 4, "nbformat_minor": 0, "cells": [check], "metadata": {"colab": {}}}
    (tmp_path / "ann.ipynb").write_text(json.dumps(notebook))
    assert read(tmp_path)["ann.ipynb"]["states"]["00.1"] == "passed"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"\x00\x01", "damaged"),
        (nbformat.writes(lesson()).encode()[:300], "damaged"),
        (b"[]", "damaged"),
        (b'{"cells": 5, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "damaged"),
        (b'{"cells": [{}], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "damaged"),
        ("{'é'}".encode("latin-1"), "neither UTF-8 nor UTF-16"),
        (b"[" * 100_000, "damaged"),
        (nbformat.writes(lesson(code="x = 1")).replace("x = 1", "\\ud800").encode(), "damaged"),
    ],
)
def test_a_broken_file_is_one_entry_with_one_sentence_and_the_others_are_read(
    content, words, tmp_path
):
    hand_in(tmp_path, "ann.ipynb")
    (tmp_path / "bob.ipynb").write_bytes(content)
    found = read(tmp_path)
    assert found["bob.ipynb"]["broken"]
    (note,) = found["bob.ipynb"]["notes"]
    assert words in note
    assert not found["ann.ipynb"]["broken"]


def test_a_file_that_is_gone_or_hidden_stops_nothing(tmp_path):
    hand_in(tmp_path, "ann.ipynb")
    hand_in(tmp_path, ".ipynb_checkpoints/ann-checkpoint.ipynb")
    hand_in(tmp_path, "._ann.ipynb")
    (tmp_path / "bob.ipynb").symlink_to(tmp_path / "gone")
    assert {name: entry["broken"] for name, entry in read(tmp_path).items()} == {
        "ann.ipynb": False,
        "bob.ipynb": True,
    }


def test_copies_missing_outputs_and_foreign_notebooks_are_named(tmp_path):
    hand_in(tmp_path, "ann.ipynb")
    hand_in(tmp_path, "bob.ipynb")
    hand_in(tmp_path, "cleo.ipynb", lesson({}, "1"))
    hand_in(tmp_path, "dan.ipynb", new_notebook(cells=[new_code_cell("2")]))
    solved = nbformat.read(grade.run_notebook.find_lessons(["00"])[0], as_version=4)
    hand_in(tmp_path, "eve.ipynb", solved)
    notes = {name: entry["notes"] for name, entry in read(tmp_path).items()}
    assert notes == {
        "ann.ipynb": [],
        "bob.ipynb": ["Its code is the same as in ann.ipynb."],
        "cleo.ipynb": ["It was saved without outputs."],
        "dan.ipynb": ["It has no exercise of this course."],
        "eve.ipynb": ["Its code is the same as in the solved lesson."],
    }


def test_the_course_prints_what_grading_reads():
    """All checks pass in the solved lessons; in the learner's notebooks none has run."""
    for path in grade.run_notebook.find_lessons():
        states = grade.read_states(grade.read_notebook(path))
        assert set(states.values()) == {"passed"}, path.stem
        stub = grade.read_notebook(path.parent / "exercises" / path.name)
        assert grade.read_states(stub) == dict.fromkeys(states, "not run")


def test_the_best_of_two_counts_and_an_empty_folder_is_refused(tmp_path):
    hand_in(tmp_path, "ann/00_start_here.ipynb")
    hand_in(tmp_path, "ann/00_start_here-Copy1.ipynb", lesson({"00.2": "✓ Exercise 00.2: right."}))
    table = grade.to_table(list(grade.grade(tmp_path)))
    assert table.loc["ann", ["00.1", "00.2", "00.3"]].to_list() == ["passed", "passed", "not run"]
    assert table.loc["ann", "passed"] == 2
    for wrong in (tmp_path / "gone", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=r"no folder|no notebook"):
            list(grade.grade(wrong))


def test_of_an_exercise_that_was_copied_within_a_notebook_the_best_counts(tmp_path):
    passed, copied = lesson(RIGHT), lesson()
    passed.cells += [cell for cell in copied.cells if cell.cell_type == "code"]
    hand_in(tmp_path, "ann.ipynb", passed)
    assert read(tmp_path)["ann.ipynb"]["states"]["00.1"] == "passed"


def test_the_table_has_no_formulas(tmp_path):
    entry = {"file": "=f.ipynb", "learner": "=1+1", "states": {}, "notes": ["x"], "broken": False}
    grade.write_table(grade.to_table([entry]), tmp_path / "t.csv")
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["learner"].to_list() == ["'=1+1"]
    assert table["notes"].to_list() == ["'=f.ipynb: x"]


def test_the_command_writes_the_table_and_never_over_a_file(tmp_path, monkeypatch, capsys):
    hand_in(tmp_path / "in", "ann.ipynb")
    (tmp_path / "in" / "bob.ipynb").write_text("no")
    monkeypatch.setattr(sys, "argv", ["leuk", "grade", f"{tmp_path}/in", f"--out={tmp_path}/t.csv"])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    told = capsys.readouterr()
    assert "bob.ipynb: The file is damaged" in told.err
    assert "not run" in told.out
    before = (tmp_path / "t.csv").read_bytes()
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "name a new file with --out" in capsys.readouterr().err
    assert (tmp_path / "t.csv").read_bytes() == before


def test_the_command_says_if_it_cannot_cut_the_network(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grade, "can_cut_network", lambda: False)
    monkeypatch.setattr(grade, "execute", lambda notebook, *_: (notebook, ""))
    hand_in(tmp_path / "in", "ann.ipynb")
    for more in (["--out=1.csv"], ["--out=2.csv", "--run"]):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["leuk", "grade", "in", *more])
        cli.main()
        assert ("cannot cut the network" in capsys.readouterr().err) == ("--run" in more)


def test_without_run_nothing_is_executed(tmp_path, monkeypatch):
    monkeypatch.setattr(grade, "execute", None)
    hand_in(tmp_path, "ann.ipynb", lesson(code=f"open({str(tmp_path / 'ran')!r}, 'w')"))
    assert read(tmp_path)["ann.ipynb"]["states"]["00.1"] == "passed"
    assert not (tmp_path / "ran").exists()


PROBE = """
import os, socket
import leukhelpers as lk
assert "SECRET" not in os.environ and not os.path.exists("ann.ipynb")
def accuracy(y_true, y_pred):
    return (y_true == y_pred).mean()
def offline():
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=0.5)
    except OSError as error:
        return "unreachable" in str(error)
print("cut" if offline() else "open")
lk.check("00.1", accuracy)
1 / 0
"""


def test_a_run_takes_fresh_outputs_without_network_or_the_teachers_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "key")
    ends = new_code_cell('lk.check("00.2", ...)')
    notebook = new_notebook(cells=[new_code_cell(PROBE), ends])
    done, problem = grade.execute(notebook, timeout=600, memory=8)
    assert problem == ""
    printed = "".join(output.get("text", "") for output in done.cells[0].outputs)
    if grade.can_cut_network():
        assert printed.startswith("cut")
    states = grade.read_states(done)
    assert (states["00.1"], states["00.2"]) == ("passed", "unanswered")


@pytest.mark.skipif(not grade.can_cut_network(), reason="unshare does not work here")
def test_what_a_notebook_starts_ends_with_it(tmp_path):
    mark = f"sleep-of-{tmp_path.name}"
    code = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', "
    code += f"'import time; time.sleep(300)', {mark!r}], start_new_session=True)"
    _, problem = grade.execute(lesson(code=code), timeout=600, memory=8)
    assert problem == ""
    alive = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [arguments for arguments in alive if mark in arguments]


def test_what_passed_before_an_endless_cell_counts(tmp_path):
    notebook = lesson()
    notebook.cells[1].source = "print('✓ Exercise 00.1: right.')\nif False:\n    check('00.1')"
    notebook.cells[2].source = "import time\ntime.sleep(600)\ncheck('00.2')"
    hand_in(tmp_path, "ann/00_start_here.ipynb", notebook)
    entry = read(tmp_path, run=True, timeout=6)["ann/00_start_here.ipynb"]
    assert entry["notes"] == ["It ran longer than 6 seconds and was ended."]
    assert entry["states"]["00.1"] == "passed"


@pytest.mark.parametrize(
    ("code", "timeout", "words"),
    [
        ("import time; time.sleep(600)", 2, "longer than 2 seconds"),
        ("import os; os._exit(1)", 600, "ended early"),
    ],
)
def test_a_run_that_does_not_end_well_is_named(code, timeout, words, tmp_path):
    hand_in(tmp_path, "ann.ipynb", lesson(code=code))
    entry = read(tmp_path, run=True, timeout=timeout)["ann.ipynb"]
    assert words in entry["notes"][0]
    assert set(entry["states"].values()) == {"not run"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory holds on Linux")
def test_a_run_has_a_limit_of_memory():
    cell = new_code_cell("large = b'x' * (3 * 2**30)\nprint('had it')")
    done, _ = grade.execute(new_notebook(cells=[cell]), timeout=600, memory=1)
    assert [output.get("ename") for output in done.cells[0].outputs] == ["MemoryError"]
