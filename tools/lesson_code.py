"""Count what a lesson types: statements of public libraries, statements of the helper package.

    python -m tools.lesson_code            print the table
    python -m tools.lesson_code --write    also write it to docs/lessons.md

A statement that mentions the helper (``lk``, or the lesson object) is a helper's, whatever else
it mentions. A statement is a library's if it mentions a public library, or an object that a
statement of a library made, such as a model. It is *direct* if it mentions the library by name.
Imports, the set-up cell, saving figures, recording, questions and checks are not counted.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

import jupytext

from tools import build

PAGE = build.ROOT / "docs" / "lessons.md"
MARKS = ("<!-- lesson code:begin -->", "<!-- lesson code:end -->")
HELPER = {"lk", "lesson"}
NOT_COUNTED = re.compile(r"\b(lk\.(begin|check)|lesson\.(save_figure|record|quiz))\(")
LEAST = 2.0  # direct statements of libraries for each of the helper, in lessons 01 to 10


class Counted(NamedTuple):
    """What one lesson types."""

    lesson: str
    library: int
    direct: int
    helper: int
    exercises: int
    of_code: int

    @property
    def ratio(self) -> float:
        """Direct statements of libraries for each statement of the helper."""
        return self.direct / max(1, self.helper)


def count(source: Path) -> Counted:
    """Count the statements and exercises of one lesson."""
    cells = [
        cell
        for cell in jupytext.read(source, fmt="py:percent").cells
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
    ]
    imported: set[str] = set()
    made: set[str] = set()
    found = {"library": 0, "direct": 0, "helper": 0}
    exercises, of_code = set(), set()
    for cell in cells:
        tree = ast.parse(_without_magics(cell.source))
        for number in re.findall(r'lk\.check\(\s*"(\d\d\.\d)"', cell.source):
            exercises.add(number)
            if _asks_for_code(cell.source):
                of_code.add(number)
        for statement in statements(tree):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                imported |= {
                    (name.asname or name.name).split(".")[0]
                    for name in statement.names
                    if name.name != "leukhelpers"
                }
            elif not NOT_COUNTED.search(ast.unparse(statement)):
                used = names(statement)
                if used & HELPER:
                    found["helper"] += 1
                elif used & (imported | made):
                    found["library"] += 1
                    found["direct"] += bool(used & imported)
                    made |= bound(statement)
    return Counted(source.name[:2], **found, exercises=len(exercises), of_code=len(of_code))


def _without_magics(source: str) -> str:
    return "\n".join(re.sub(r"^(\s*)[%!].*", r"\1pass", line) for line in source.splitlines())


def _asks_for_code(source: str) -> bool:
    """Tell whether the solution is a function, or several lines."""
    solution = [line for line in source.splitlines() if build.SOLUTION.search(line)]
    inside = any(line.startswith(" ") for line in solution)
    return inside or len(solution) > 1


def statements(tree: ast.AST) -> list[ast.stmt]:
    """List the simple statements, and the heads of loops and the like."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt)
        and not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Pass)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]


def names(statement: ast.stmt) -> set[str]:
    """Collect the names that a statement reads; of a loop those of its head."""
    head: list[ast.AST] = [statement]
    if isinstance(statement, ast.For):
        head = [statement.iter]
    elif isinstance(statement, ast.If | ast.While):
        head = [statement.test]
    elif isinstance(statement, ast.With):
        head = [item.context_expr for item in statement.items]
    elif isinstance(statement, ast.Try):
        head = []
    return {
        node.id
        for part in head
        for node in ast.walk(part)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def bound(statement: ast.stmt) -> set[str]:
    """Collect the names to which a statement gives a value."""
    return {
        node.id
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def table() -> str:
    """Lay out the counts of all lessons in Markdown."""
    lines = [
        "| lesson | library statements | direct | helper statements | direct per helper "
        "| exercises | of these ask for code |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in map(count, build.sources([])):
        lines.append(
            f"| {row.lesson} | {row.library} | {row.direct} | {row.helper} | {row.ratio:.1f} "
            f"| {row.exercises} | {row.of_code} |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print the table, and perhaps write it to the page."""
    text = table()
    print(text)
    if "--write" in arguments:
        before, _, rest = PAGE.read_text("utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        PAGE.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
