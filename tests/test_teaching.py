"""Every lesson has a page for the instructor and a handout, and both follow the lesson."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from tools import build, schedule

DOCS = build.ROOT / "docs"
SOURCES = build.sources([])
NOT_TAUGHT = ("Going further", "Use it on your data", "Key points", "Check yourself")
EXERCISE = re.compile(r"^# ### Exercise (\d\d\.\d+) \((\d+) minutes\)$", re.MULTILINE)
LESSON = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def page(folder: str, source: Path) -> str:
    return (DOCS / folder / f"lesson-{source.name[:2]}.md").read_text("utf-8")


def part(text: str, heading: str) -> str:
    """Return what stands below a heading of the second level."""
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def sections(source: Path) -> dict[str, str]:
    """Return the sections of a lesson that are taught: the text of each by its heading."""
    pieces = re.split(r"^# ## (.+)$", source.read_text("utf-8"), flags=re.MULTILINE)
    titles = [title.strip() for title in pieces[1::2]]
    found = dict(zip(titles, pieces[2::2], strict=True))
    return {title: text for title, text in found.items() if not title.startswith(NOT_TAUGHT)}


def minutes(source: Path) -> dict[str, int]:
    """Return the rows of the table of minutes."""
    table = part(page("teaching", source), "Minutes per section")
    rows = re.findall(r"^\| (.+?) \| (\d+) \|$", table, re.MULTILINE)
    return {title: int(number) for title, number in rows}


def words(text: str) -> int:
    return sum(any(letter.isalnum() for letter in token) for token in text.split())


def code(source: Path) -> str:
    (block,) = re.findall(r"^```python\n(.+?)^```$", page("handouts", source), re.M | re.S)
    return block


def terms() -> set[str]:
    return set(re.findall(r"^### (.+)$", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE))


def test_there_is_a_page_of_each_kind_for_every_lesson_and_no_other():
    expected = {f"lesson-{source.name[:2]}.md" for source in SOURCES}
    for folder in ("teaching", "handouts"):
        assert {path.name for path in (DOCS / folder).glob("lesson-*.md")} == expected


def test_the_guide_and_the_site_lead_to_every_page():
    guide = (DOCS / "instructors.md").read_text("utf-8")
    more = (DOCS / "more.md").read_text("utf-8")
    for folder in ("teaching", "handouts"):
        for source in SOURCES:
            assert f"({folder}/lesson-{source.name[:2]}.md)" in guide
        assert f"\n{folder}/index\n" in more
        assert "\n:glob:\n\nlesson-*\n" in (DOCS / folder / "index.md").read_text("utf-8")


@LESSON
def test_the_table_holds_every_section_that_is_taught_in_order(source):
    listed = [title for title in minutes(source) if not title.startswith(("Start:", "End:"))]
    assert listed == list(sections(source))


@LESSON
def test_the_minutes_add_up_to_those_of_the_lesson(source):
    _, stated, _ = schedule.stated(source)
    assert sum(minutes(source).values()) == stated
    assert re.search(rf"\b{stated} minutes", " ".join(page("teaching", source)[:400].split()))


@LESSON
def test_a_section_has_at_least_the_minutes_of_its_exercises(source):
    given = minutes(source)
    for title, text in sections(source).items():
        needed = sum(int(number) for _, number in EXERCISE.findall(text))
        assert given[title] > needed, title


@LESSON
def test_every_exercise_and_every_guess_has_an_expected_answer(source):
    expected = part(page("teaching", source), "Expected answers")
    exercises = [number for number, _ in EXERCISE.findall(source.read_text("utf-8"))]
    assert re.findall(r"^- \*\*(\d\d\.\d+)", expected, re.MULTILINE) == exercises
    guesses = "".join(sections(source).values()).count("**Guess")
    assert len(re.findall(r"^- \*\*Guess", expected, re.MULTILINE)) >= max(1, guesses)


@LESSON
def test_the_notes_have_all_parts_and_fit_their_length(source):
    text = page("teaching", source)
    for heading in ("Where learners stumble", "When ten minutes are left"):
        assert words(part(text, heading)) >= 15, heading
    assert "not for clinical use" in " ".join(text.split())
    assert words(text) <= 350


@LESSON
def test_the_notes_give_no_measured_score(source):
    """A score depends on the seed or on a benchmark; only a lesson's own run may state it."""
    text = page("teaching", source)
    prose = re.sub(r"`[^`]*`", "", part(text, "Expected answers"))
    assert not re.findall(r"\b[01]\.\d\d\b(?!\.)", re.sub(r"\*\*\d\d\.\d+", "", prose))


@LESSON
def test_the_handout_has_all_parts_and_fits_on_a_page(source):
    text = page("handouts", source)
    assert "**Question:**" in text
    assert 4 <= len(re.findall(r"^- ", part(text, "Key ideas"), re.MULTILINE)) <= 6
    assert words(part(text, "Check on your own data")) >= 10
    assert "not for clinical use" in text
    assert words(text) <= 300


@LESSON
def test_the_code_of_the_handout_is_short_and_ordinary_python(source):
    block = code(source)
    tree = ast.parse(block)
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imported for alias in node.names}
    modules = {node.module for node in imported if isinstance(node, ast.ImportFrom)}
    assert imported
    assert not any(name.startswith("leukhelpers") for name in names | modules)
    lines = [line.strip() for line in block.splitlines()]
    own = [line for line in lines if line and not line.startswith(("#", "import ", "from "))]
    assert 5 <= len(own) <= 13
    assert max(map(len, block.splitlines())) <= 100


@LESSON
def test_the_words_of_the_handout_are_in_the_glossary(source):
    linked = re.findall(
        r"\[(.+?)\]\(\.\./glossary", part(page("handouts", source), "Words to know")
    )
    assert linked
    assert set(linked) <= terms()
    assert len(linked) == len(set(linked))


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """Make a small folder of cells, and the arrays that the handouts leave to the reader."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    rng = np.random.default_rng(0)
    groups = np.repeat([f"p{number}" for number in range(12)], 6)
    y = np.repeat([0, 1] * 6, 6)
    labels = np.where(y == 1, "leukemic", "healthy")
    images = rng.integers(1, 255, size=(len(y), 16, 16, 3), dtype=np.uint8)
    images[:, :2] = 0  # the black background
    paths = []
    for number, (image, label, group) in enumerate(zip(images, labels, groups, strict=True)):
        path = tmp_path / "my_cells" / label / f"patient{group[1:]}_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        paths.append(str(path))
    cells = pd.DataFrame({"path": paths, "label": y, "subject": groups})
    cells.to_csv("my_cells.csv", index=False)
    cells.assign(prediction=1 - y).to_csv("my_predictions.csv", index=False)
    features = rng.normal(size=(len(y), 4)) + y[:, None]
    return {
        "images": images,
        "labels": y,
        "y": y,
        "groups": groups,
        "features": features,
        "X": features,
        "numbers": features,
        "new_numbers": features[:3],
        "probability": rng.uniform(size=len(y)),
        "mask": images[0].any(axis=2),
        "model_a": LogisticRegression(),
        "model_b": DummyClassifier(),
        "references": images[:4],
        "train_patients": groups[:36],
        "test_patients": groups[36:],
        "predicted_labels": labels,
    }


PLAIN = [source for source in SOURCES if source.name[:2] not in {"05", "07", "08"}]


@pytest.mark.parametrize("source", PLAIN, ids=lambda source: source.stem)
def test_the_code_of_the_handout_runs_on_a_folder_of_cells(source, own_data):
    if source.name.startswith("10"):
        own_data["labels"] = own_data["predicted_labels"]
    exec(compile(code(source), f"handout of {source.stem}", "exec"), own_data)
    if "data" in own_data:  # the pipeline of lesson 03 does nothing before it is read
        batch, _ = next(iter(own_data["data"]))
        assert batch.shape == (32, 16, 16, 3)


@pytest.mark.parametrize("number", ["05", "08"])
def test_the_network_of_the_handout_is_built_and_compiled(number, own_data):
    (source,) = build.sources([number])
    lines = [line for line in code(source).splitlines() if ".fit(" not in line]
    without_download = "\n".join(lines).replace('"imagenet"', "None")
    exec(compile(without_download, f"handout of {source.stem}", "exec"), own_data)
    assert own_data["model"].output_shape == (None, 1)
    assert own_data["model"].trainable_weights


def test_the_shap_values_of_the_handout_add_up(own_data, capsys):
    import keras

    inputs = keras.Input((16, 16, 3))
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    logit = keras.layers.Dense(1, name="logit")(mean)
    keras.Model(inputs, keras.layers.Activation("sigmoid")(logit)).save("model.keras")
    own_data["images"] = own_data["images"][:2]
    (source,) = build.sources(["07"])
    exec(compile(code(source), "handout of 07", "exec"), own_data)
    expected = own_data["logits"] - own_data["logit_model"].predict(own_data["references"]).mean()
    assert own_data["values"].sum(axis=(1, 2, 3, 4)) == pytest.approx(expected, abs=0.05)
    assert "should be" in capsys.readouterr().out
