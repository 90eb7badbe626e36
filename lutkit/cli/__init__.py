"""One small file for each command, which parses the options, calls one function and prints a summary.

Owns the entry point. Loads nothing on import, because Ctrl-C may come while everything else is loading.
"""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback, even during start-up."""
    try:
        from lutkit.cli.app import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
