"""The errors that become one sentence for the user."""


class InputError(ValueError):
    """An input that the user can mend; the message is one sentence that says how.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> lk.load_dataset("no such folder", "data")
    Traceback (most recent call last):
    ...
    leukhelpers.errors.InputError: ...
    """


class LessonError(RuntimeError):
    """A lesson that failed: its name, the cell, and the last lines of the error."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its name if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]
