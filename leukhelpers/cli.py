"""The command ``leuk``.

What a command reports goes to standard output, with ``--json`` as one JSON document;
progress goes to standard error. A wrong input exits with status 2 and one line.
"""

import errno
import os
import re
import sys

import typer

from leukhelpers.commands import course, data, experiments, serving
from leukhelpers.commands.output import tell
from leukhelpers.errors import InputError, LessonError

app = typer.Typer(
    name="leuk",
    help="Leukemic or healthy? A course on classifying blood cells honestly. For teaching only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
for group in (course, experiments, serving):
    app.add_typer(group.app)


def main() -> None:
    """Run the command line; a wrong input becomes one sentence and status 2."""
    message = ""
    try:
        # One rule for every path of every command, also where the shell leaves --out=~/run.
        home = re.compile(r"(?<![^=])~[^=]*$")
        given = [home.sub(lambda path: os.path.expanduser(path[0]), one) for one in sys.argv[1:]]
        status = app(given, standalone_mode=False)
    except (InputError, LessonError) as error:
        status, message = 2 if isinstance(error, InputError) else 1, str(error)
    except OSError as error:  # a disk that is full or read-only, a folder of somebody else's
        if isinstance(error, BrokenPipeError):
            raise
        what = error.strerror or f"a file could not be written ({error})"
        place = f": {error.filename}" if error.filename else ""
        no_room = error.errno in (None, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
        remedy = "; make room, or name another folder (LEUK_HOME, or --out)" if no_room else ""
        status, message = 2, f"{what}{place}{remedy}."
    except Exception as error:
        # Typer's own errors about options know their sentence, and an interruption may
        # come as Abort; which classes these are depends on typer's release.
        if type(error).__name__ == "Abort":
            status = 130
        elif hasattr(error, "format_message"):
            status, message = 2, error.format_message()
        else:
            raise
    if status == 130:
        message = "interrupted; what was finished is kept."
    if message:
        tell(f"leuk: {message}")
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    main()
