"""The command ``leuk``.

What a command reports goes to standard output, with ``--json`` as one JSON document;
progress goes to standard error. A wrong input exits with status 2 and one line.
"""

from __future__ import annotations

import typer

from leukhelpers.commands import course, data, experiments, serving
from leukhelpers.commands.output import tell
from leukhelpers.errors import InputError, LessonError

app = typer.Typer(
    name="leuk",
    help="Leukemic or healthy? A course that tells them apart honestly. For teaching only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
for group in (course, experiments, serving):
    app.add_typer(group.app)


def main() -> None:
    """Run the command line; a wrong input becomes one sentence and status 2."""
    try:
        status = app(standalone_mode=False)
    except (InputError, LessonError) as error:
        tell(f"leuk: {error}")
        raise SystemExit(2 if isinstance(error, InputError) else 1) from None
    except PermissionError as error:
        tell(f"leuk: {error.filename} may not be written; LEUK_HOME can name another work folder.")
        raise SystemExit(2) from None
    except Exception as error:
        # Typer's own errors about options know their sentence, and an interruption may
        # come as Abort; which classes these are depends on typer's release.
        if type(error).__name__ == "Abort":
            status = 130
        elif hasattr(error, "format_message"):
            tell(f"leuk: {error.format_message().rstrip('.')}. See 'leuk --help'.")
            raise SystemExit(2) from None
        else:
            raise
    if status == 130:
        tell("leuk: interrupted; what was finished is kept.")
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    main()
