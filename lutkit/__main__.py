"""`python -m lutkit`: the command line."""

from lutkit.cli import main

if __name__ == "__main__":
    main()
