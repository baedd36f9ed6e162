"""Answer for single cells: on the command line, exported, and on a page."""
