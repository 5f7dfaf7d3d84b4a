"""The command `forbear`, also as `python -m forbear`."""

import sys


def main() -> None:
    """Runs the command line; Ctrl-C while it is still being imported is an exit code too, not a traceback."""
    try:
        from forbear.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
