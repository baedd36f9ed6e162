"""Run the command line: ``python -m leukhelpers`` is ``leuk``."""

from leukhelpers.cli import main

main()
