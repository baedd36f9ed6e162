"""The multiple-choice questions that end a lesson: click an answer, read what it deserves.

They stand in ``exercises/<lesson>.yaml`` and are shown by jupyterquiz, offline. A notebook calls
:meth:`leukhelpers.course.lesson.Lesson.quiz` and holds nothing of them until it runs.
"""

import html
from typing import Any

from leukhelpers.course import exercises
from leukhelpers.errors import InputError

# White on these is read by everybody.
COLORS = {"--jq-multiple-choice-bg": "#34495e", "--jq-correct-color": "#00664d"}


def show_questions(number: str) -> None:
    """Show the questions of a lesson in a notebook.

    What is displayed is a page with buttons, and for readers of the plain notebook the
    questions with their answers, in alphabetical order.

    Parameters
    ----------
    number : str
        The lesson's number, such as ``"02"``.

    Raises
    ------
    InputError
        If the lesson has no questions.
    """
    from IPython import get_ipython
    from IPython.display import display  # only notebooks need these
    from IPython.utils.capture import capture_output
    from jupyterquiz import display_quiz

    try:
        questions = exercises.texts(number)["questions"]
    except OSError:
        raise InputError(f"There is no lesson {number}.") from None
    words = "\n\n".join(_in_words(question) for question in questions)
    if get_ipython() is None:  # a lesson that was saved as a script
        print(words)
        return
    with capture_output() as shown:
        display_quiz(list(map(_for_jupyterquiz, questions)), colors=COLORS, max_width=800)
    page, script = (output.data for output in shown.outputs)
    # Where a page has MathJax, jupyterquiz may load another one from the internet.
    given = script["application/javascript"]
    code = f"(function () {{\nconst MathJax = undefined;\n{given}\n}})();"
    display({"text/html": page["text/html"], "text/markdown": words, "text/plain": words}, raw=True)
    display({"application/javascript": code, "text/plain": ""}, raw=True)


def _for_jupyterquiz(question: dict[str, Any]) -> dict[str, Any]:
    """Write a question as jupyterquiz reads it, which takes its texts for HTML."""
    answers = [
        {"answer": html.escape(text), "correct": correct, "feedback": html.escape(feedback)}
        for kind, correct in (("right", True), ("wrong", False))
        for text, feedback in question[kind].items()
    ]
    return {
        "question": html.escape(question["question"]),
        "type": "multiple_choice",
        "answers": answers,
        "answer_cols": 1,
    }


def _in_words(question: dict[str, Any]) -> str:
    """Write a question and its answers as Markdown that does not tell which one is right."""
    answers = sorted([*question["right"], *question["wrong"]])
    return "\n".join([f"**{question['question']}**", "", *(f"- {answer}" for answer in answers)])
