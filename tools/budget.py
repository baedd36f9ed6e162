"""How large the package is, beside what it may be.

    python -m tools.budget            print the table
    python -m tools.budget --write    also write it to docs/architecture.md

Counted are lines of code: no blank line, no comment, no docstring.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "leukhelpers"
PAGE = ROOT / "docs" / "architecture.md"
MARKS = ("<!-- budget:begin -->", "<!-- budget:end -->")
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def main(arguments: list[str]) -> int:
    rows = [
        ("lines of code", *code_lines(), 8500),
        ("lines of the page's own JavaScript", script_lines(), "", 700),
        ("lines of the largest module", *largest_module(), 400),
        ("modules directly in `leukhelpers/`", len(list(PACKAGE.glob("*.py"))), "", 8),
        ("names that the lessons import from the package", *imported_names(), 40),
        ("modules in an import cycle", *cycles(), 0),
    ]
    table = ["| what | now | at most | |", "| --- | ---: | ---: | --- |"]
    table += [f"| {what} | {now:,} | {most:,} | {where} |" for what, now, where, most in rows]
    print("\n".join(table))
    if "--write" in arguments:
        before, _, rest = PAGE.read_text("utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        text = "\n".join([MARKS[0], "", *table, "", MARKS[1]])
        PAGE.write_text(f"{before}{text}{after}", "utf-8")
    return int(any(now > most for _, now, _, most in rows))


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def code_lines() -> tuple[int, str]:
    return sum(len(lines_of_code(path.read_text("utf-8"))) for path in modules()), ""


def lines_of_code(source: str) -> set[int]:
    """Number the lines that hold code."""
    strings = [
        node.body[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    ]
    documented = {n for text in strings for n in range(text.lineno, text.end_lineno + 1)}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    held = {
        n
        for token in tokens
        if token.type not in NO_CODE
        for n in range(token.start[0], token.end[0] + 1)
    }
    return held - documented


def script_lines() -> int:
    """Count the lines of JavaScript that are not blank and no comment; the runtime is not ours."""
    lines = [
        line.strip()
        for path in (PACKAGE / "web").glob("*.js")
        for line in path.read_text("utf-8").splitlines()
    ]
    return len([line for line in lines if line and not line.startswith(("//", "/**"))])


def largest_module() -> tuple[int, str]:
    sizes = {path: len(path.read_text("utf-8").splitlines()) for path in modules()}
    path = max(sizes, key=sizes.__getitem__)
    return sizes[path], f"`{path.relative_to(PACKAGE).as_posix()}`"


def imported_names() -> tuple[int, str]:
    """Count the names that the lessons take from the package, and the modules they are in."""
    names, places = set(), set()
    for path in sorted((ROOT / "lessons").glob("[0-9]*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        bound: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("leukhelpers"):
                for name in node.names:
                    full = f"{node.module}.{name.name}"
                    if (ROOT / full.replace(".", "/")).with_suffix(".py").is_file() or (
                        ROOT / full.replace(".", "/")
                    ).is_dir():
                        bound[name.asname or name.name] = full
                    else:
                        names.add(full)
                        places.add(node.module)
            elif isinstance(node, ast.Import):
                bound |= {
                    name.asname or name.name: name.name
                    for name in node.names
                    if name.name == "leukhelpers"
                }
        used = [
            f"{bound[node.value.id]}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in bound
        ]
        names |= set(used)
        places |= {name.rpartition(".")[0] for name in used}
    return len(names), f"from {len(places)} modules"


def cycles() -> tuple[int, str]:
    """Count the modules of the first import cycle, if there is one."""
    graph = grimp.build_graph("leukhelpers", exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        cycle = error.args[1][1:]
        return len(cycle), ", ".join(f"`{name}`" for name in cycle)
    return 0, ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
