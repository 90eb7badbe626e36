"""One small file for each command: parse, call one function, print a summary.

Owns the entry point. Loads nothing on import: Ctrl-C may come while everything else is loading.
"""

import sys


def main() -> None:
    """Run the command line; a Ctrl-C during start-up ends it as quietly as a later one."""
    try:
        from lutkit.cli.app import run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
