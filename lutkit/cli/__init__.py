"""One small file a command: parse, call one function, print a summary.

Owns the entry point. Loads nothing on import: Ctrl-C may come while everything else is loading.
"""

import sys


def main() -> None:
    """Run the command line; a Ctrl-C before it is ready ends it as quietly as one after."""
    try:
        from lutkit.cli.app import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
