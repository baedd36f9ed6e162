"""The multiple-choice questions: well made, asked once, and their answers in no notebook."""

from __future__ import annotations

import re

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from leukhelpers.course import exercises, quiz
from leukhelpers.errors import InputError
from tools import build

LESSONS = [source.name[:2] for source in build.sources([])]
ASKED = {number: exercises.texts(number)["questions"] for number in LESSONS}
EACH = [(number, question) for number, asked in ASKED.items() for question in asked]
each_question = pytest.mark.parametrize(
    "question",
    [question for _, question in EACH],
    ids=[f"{number}-{index}" for index, (number, _) in enumerate(EACH)],
)


def answers(question: dict) -> dict[str, str]:
    return question["right"] | question["wrong"]


def displayed(number: str) -> list[dict[str, str]]:
    InteractiveShell.instance()
    with capture_output() as shown:
        quiz.show_questions(number)
    return [output.data for output in shown.outputs]


@each_question
def test_question_is_well_formed(question):
    assert set(question) == {"question", "right", "wrong"}
    assert question["question"].endswith("?")
    assert len(question["right"]) == 1
    assert len(question["wrong"]) >= 2
    assert len(answers(question)) == 1 + len(question["wrong"]), "an answer is right and wrong"
    for answer, told in answers(question).items():
        assert len(answer) > 1
        assert told.endswith(".")
        assert len(told) > 20, f"what is to be learnt from {answer!r}?"
    assert all(
        told.startswith("Yes. ") or told.startswith("Yes, ") for told in question["right"].values()
    )
    assert not any(told.startswith("Yes") for told in question["wrong"].values())
    assert len(set(answers(question).values())) == len(answers(question))


def test_each_question_is_asked_by_exactly_one_lesson():
    texts = [question["question"] for _, question in EACH]
    assert len(set(texts)) == len(texts)
    calls = {
        source.name[:2]: source.read_text("utf-8").count("here.ask()")
        + source.read_text("utf-8").count("lesson.quiz()")
        for source in build.sources([])
    }
    assert {number for number, count in calls.items() if count} == set(ASKED)
    assert max(calls.values()) == 1
    assert all(1 <= len(asked) <= 2 for asked in ASKED.values())
    for source in build.sources(sorted(ASKED)):
        assert f'begin("{source.name[:2]}"' in source.read_text("utf-8")


def test_no_notebook_holds_what_an_answer_deserves():
    for path in build.NOTEBOOKS.rglob("*.ipynb"):
        raw = path.read_text("utf-8")
        assert "application/javascript" not in raw, path.name
        assert "MCButton" not in raw, path.name
        for _, question in EACH:
            for told in answers(question).values():
                assert told[4:] not in raw, path.name


def test_learners_notebooks_hold_nothing_of_a_question():
    for path in (build.NOTEBOOKS / "exercises").glob("*.ipynb"):
        raw = path.read_text("utf-8")
        for _, question in EACH:
            assert question["question"] not in raw
            assert not [answer for answer in question["right"] if answer in raw]


def test_solved_notebook_keeps_the_words_in_an_order_that_tells_nothing():
    for number, asked in ASKED.items():
        page, script = displayed(number)
        kept = build._without_answers({"output_type": "display_data", "data": dict(page)})
        assert set(kept["data"]) == {"text/markdown", "text/plain"}
        assert build._without_answers({"output_type": "display_data", "data": script}) is None
        listed = re.findall(r"^- (.+)$", kept["data"]["text/markdown"], re.MULTILINE)
        assert listed == [one for question in asked for one in sorted(answers(question))]


def test_other_outputs_are_kept_whole():
    table = {"output_type": "execute_result", "data": {"text/html": "<table>", "text/plain": "t"}}
    assert build._without_answers(dict(table)) == table
    printed = {"output_type": "stream", "name": "stdout", "text": "x"}
    assert build._without_answers(dict(printed)) == printed


def test_lesson_without_questions_says_so():
    with pytest.raises(InputError, match="There is no lesson 99"):
        quiz.show_questions("99")


@pytest.mark.slow
def test_a_click_brings_what_the_answer_deserves_and_nothing_is_fetched(browser):
    """On a page with MathJax, too, where jupyterquiz by itself would load another one."""
    fetched: list[str] = []
    tab = browser.new_page()
    tab.on("request", lambda request: fetched.append(request.url))
    pages, scripts = zip(*map(displayed, ASKED), strict=True)
    mathjax = "<script>window.MathJax = {version: '3.2.2'}</script>"
    tab.set_content(mathjax + "".join(f"{page['text/html']}</div>" for page in pages))
    for script in scripts:
        tab.evaluate(script["application/javascript"])
    for _, question in EACH:
        for answer, told in answers(question).items():
            exactly = re.compile(rf"^\s*{re.escape(answer)}\s*$")
            tab.locator(".MCButton", has_text=exactly).click()
            kind = "correct" if answer in question["right"] else "incorrect"
            assert tab.locator(f".Feedback.{kind}", has_text=told).count() == 1
    tab.wait_for_timeout(600)  # jupyterquiz looks for MathJax half a second later
    tab.close()
    assert fetched == []


def test_no_word_of_a_question_can_become_markup():
    question = {"question": "a < b?", "right": {"<b>": "R & D"}, "wrong": {"x > y": "<script>"}}
    shown = quiz._for_jupyterquiz(question)
    words = [shown["question"]]
    words += [answer[part] for answer in shown["answers"] for part in ("answer", "feedback")]
    assert words == ["a &lt; b?", "&lt;b&gt;", "R &amp; D", "x &gt; y", "&lt;script&gt;"]
    assert [answer["correct"] for answer in shown["answers"]] == [True, False]


def test_in_a_script_the_questions_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    InteractiveShell.clear_instance()
    quiz.show_questions("02")
    (question, *_) = exercises.texts("02")["questions"]
    assert question["question"] in capsys.readouterr().out
