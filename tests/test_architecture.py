"""The layers of the package, and its budget."""

from importlinter.cli import lint_imports


def test_a_module_imports_only_what_stands_below_it_and_nothing_in_a_circle():
    assert lint_imports(no_cache=True, no_logo=True) == 0
