"""The command `palaver`."""

import sys

from palaver.commands import run


def main() -> None:
    """Run the command that the arguments name; exits with its status."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
