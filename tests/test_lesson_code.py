"""The lessons open the box: learners type the public libraries; half of the exercises are code."""

from __future__ import annotations

import ast

from tools import build, lesson_code

ROWS = [lesson_code.count(source) for source in build.sources([])]


def test_lessons_1_to_10_name_a_library_at_least_twice_as_often_as_the_helper():
    short = [row for row in ROWS if "01" <= row.lesson <= "10" and row.ratio < lesson_code.LEAST]
    assert short == []


def test_at_least_half_of_the_exercises_ask_for_code():
    assert 2 * sum(row.of_code for row in ROWS) >= sum(row.exercises for row in ROWS)


def test_the_page_shows_the_table_of_today():
    assert lesson_code.table() in lesson_code.PAGE.read_text("utf-8")


def test_a_statement_of_both_is_the_helpers_and_objects_of_a_library_count_as_library():
    tree = ast.parse("import numpy as np\nx = np.zeros(3)\ny = x.sum()\nz = np.mean(lesson.area)")
    first, second, third = lesson_code.statements(tree)[1:]
    assert lesson_code.names(first) == {"np"}
    assert lesson_code.bound(first) == {"x"}
    assert lesson_code.names(second) == {"x"}
    assert lesson_code.names(third) & lesson_code.HELPER
