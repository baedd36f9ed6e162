"""The lesson contract, the built notebooks, and the course's files at the top."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import nbformat
import papermill
import pytest

from leukhelpers.course import exercises
from tools import build

ROOT = Path(__file__).resolve().parent.parent
SOURCES = build.sources([])
IDS = [path.stem for path in SOURCES]
each_lesson = pytest.mark.parametrize("source", SOURCES, ids=IDS)


def built(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(build.NOTEBOOKS / f"{source.stem}.ipynb", as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def text(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_the_lessons_of_the_course_are_there():
    assert [stem[:2] for stem in IDS] == [
        "00",
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
        "07",
        "08",
        "09",
        "10",
        "11",
        "12",
        "13",
    ]


def test_every_notebook_comes_from_a_lesson():
    notebooks = {path.stem for path in build.NOTEBOOKS.rglob("*.ipynb")}
    assert notebooks == set(IDS)


@each_lesson
def test_built_notebooks_are_in_step_with_their_source(source):
    assert build.out_of_step(source) == []


def test_a_changed_source_is_noticed(tmp_path):
    changed = tmp_path / SOURCES[0].name
    changed.write_text(SOURCES[0].read_text("utf-8").replace("majority", "minority", 1), "utf-8")
    assert len(build.out_of_step(changed)) == 2


@each_lesson
def test_notebook_ran_from_top_to_bottom_without_error(source):
    cells = code_cells(built(source))
    counts = [cell.execution_count for cell in cells if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))
    assert not [out for cell in cells for out in cell.outputs if out.output_type == "error"]


@each_lesson
def test_notebook_has_outputs_and_a_third_of_them_is_compared(source):
    with_output = [cell for cell in code_cells(built(source)) if cell.outputs]
    compared = [cell for cell in with_output if "nbval-check-output" in tags(cell)]
    assert len(with_output) >= 5
    assert len(compared) >= len(with_output) / 3


@each_lesson
def test_compared_cells_have_something_to_compare(source):
    for cell in code_cells(built(source)):
        if "nbval-check-output" in tags(cell):
            assert cell.outputs, cell.source


@each_lesson
def test_notebook_holds_no_place_of_the_machine_that_built_it(source):
    raw = (build.NOTEBOOKS / f"{source.stem}.ipynb").read_text("utf-8")
    assert str(ROOT) not in raw
    assert str(Path.home()) + "/" not in raw


@each_lesson
def test_every_exercise_is_asked_in_the_text_and_has_a_check(source):
    asked = set(re.findall(r"(?:\*\*|### Exercise )(\d\d\.\d)", text(built(source))))
    assert {number for number in exercises.CHECKS if number[:2] == source.name[:2]} == asked
    assert len(asked) in (5, 6, 9) if source.name.startswith("13") else 2 <= len(asked) <= 4


@each_lesson
def test_exercises_hold_stubs_instead_of_solutions(source):
    solved = build.read_lesson(source, solved=True)
    stubs = nbformat.read(build.NOTEBOOKS / "exercises" / f"{source.stem}.ipynb", as_version=4)
    for cell, full in zip(code_cells(stubs), code_cells(solved), strict=True):
        assert "# solution" not in cell.source + full.source
        if "check(" in full.source and "import" not in full.source:
            assert cell.source != full.source
        ast.parse(cell.source)


@each_lesson
def test_learners_notebook_holds_no_answer_anywhere_and_the_solved_one_passes_all_checks(source):
    path = build.NOTEBOOKS / "exercises" / source.name.replace(".py", ".ipynb")
    learners = nbformat.read(path, as_version=4)
    assert set(learners.metadata) == {"kernelspec", "language_info"}
    for cell in learners.cells:
        assert set(cell.metadata) <= {"tags", "lines_to_next_cell"}
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    lines = source.read_text("utf-8").splitlines()
    answers = {build.SOLUTION.sub("", line) for line in lines if build.SOLUTION.search(line)}
    # A function's head and a lone bracket tell nothing.
    answers = {line for line in answers if re.search(r"\w", line) and not line.startswith("def ")}
    assert answers
    told = {line for cell in code_cells(learners) for line in cell.source.splitlines()}
    assert answers & told == set()
    outputs = "".join(
        str(out.get("text", "")) for cell in code_cells(built(source)) for out in cell.outputs
    )
    numbers = [number for number in exercises.CHECKS if number[:2] == source.name[:2]]
    assert re.findall(r"^✓ Exercise (\S+): right\.$", outputs, re.MULTILINE) == numbers
    assert "✗ Exercise" not in outputs
    assert "○ Exercise" not in outputs


@each_lesson
def test_parameters_are_those_of_every_lesson(source):
    found = papermill.inspect_notebook(str(build.NOTEBOOKS / f"{source.stem}.ipynb"))
    assert {name: about["inferred_type_name"] for name, about in found.items()} == {
        "dataset": "str",
        "profile": "str",
        "seed": "int",
        "run": "str",
    }
    assert found["dataset"]["default"] == '"twin"'
    assert found["profile"]["default"] == '"fast"'


@each_lesson
def test_lesson_follows_the_contract(source):
    notebook = built(source)
    first = notebook.cells[0].source
    assert re.match(rf"# {source.name[:2]} · \S", first)
    assert "you will be able to" in first
    assert "to teach" in first
    assert "to run" in first
    prose = text(notebook)
    for part in ("**Questions**", "**Objectives**", "## Key points"):
        assert part in prose, part
    assert "**Read next:**" in notebook.cells[-1].source
    kinds = [tags(cell) for cell in code_cells(notebook)]
    assert kinds[0] == ["setup"]
    assert kinds[1] == ["parameters"]


@each_lesson
def test_cells_are_short_and_stand_between_prose(source):
    notebook = built(source)
    for cell in code_cells(notebook):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 20 or "setup" in tags(cell), cell.source
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[-1].cell_type == "markdown"


@each_lesson
def test_every_picture_has_an_alt_text(source):
    pictures = 0
    for cell in code_cells(built(source)):
        for out in cell.outputs:
            if "image/png" in out.get("data", {}):
                pictures += 1
                assert len(out.metadata["image/png"]["alt"]) > 20
    assert pictures >= 1


def test_lessons_state_no_measured_number_by_hand():
    """Scores of a model stand in outputs, not in prose; the published facts are few."""
    allowed = {
        "0.68",
        "0.50",
        "0.5",
        "1.2",
        "0.8",
        "1.00",
        "0.00",
        "0.13",
        "0.0",
        "0.3",
        "0.9",
        "1.0",
    }
    for source in SOURCES:
        found = set(re.findall(r"(?<![\d.])\d?\.\d+(?![\d.])", text(built(source))))
        assert {number for number in found if number not in allowed} == set(), source.name


def test_solution_lines_become_stubs():
    assert build._line("answer = 3  # solution", solved=False) == "answer = ..."
    assert build._line("answer = 3  # solution", solved=True) == "answer = 3"
    assert build._line("    return 3  # solution", solved=False) is None
    assert build._line("x = 4", solved=False) == "x = 4"


@pytest.mark.slow
def test_check_mode_says_what_is_out_of_step(capsys, monkeypatch, tmp_path):
    assert build.main(["--check"]) == 0
    assert f"{len(SOURCES)} lessons are in step" in capsys.readouterr().out
    monkeypatch.setattr(build, "NOTEBOOKS", tmp_path / "notebooks")
    assert build.main(["--check", "00"]) == 1
    assert "notebooks/00_start_here.ipynb is missing" in capsys.readouterr().out


# ------------------------------------------------------------------ the files at the top


def test_lock_pins_every_requirement_by_hash_and_names_no_index():
    lock = (ROOT / "requirements" / "lock.txt").read_text("utf-8")
    pins = re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==\S+", lock, re.MULTILINE)
    assert len(pins) > 100
    assert lock.count("--hash=sha256:") >= len(pins)
    assert "://" not in lock
    assert "index-url" not in lock
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = [entry for extra in project["optional-dependencies"].values() for entry in extra]
    wanted = [*project["dependencies"], *extras]
    names = {re.split(r"[<>=! ]", entry)[0].lower() for entry in wanted}
    assert names <= set(pins)


def test_environment_file_installs_the_same_lock():
    assert "--requirement requirements/lock.txt" in (ROOT / "environment.yml").read_text("utf-8")


def test_readme_begins_with_the_two_commands():
    top = (ROOT / "README.md").read_text("utf-8")[:1600]
    assert top.index("make install") < top.index("make course") < top.index("make test")
    assert "python3 make.py install" in top


def test_kept_results_tell_where_they_come_from():
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        found = json.loads(path.read_text("utf-8"))
        assert "date" in found, path.name
        assert "seed" in found, path.name
        assert "machine" in found, path.name
