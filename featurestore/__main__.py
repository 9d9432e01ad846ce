"""The command, also as `python -m featurestore`."""

import sys

from featurestore.packages import leave_working_folder


def main() -> None:
    """Run the command; Ctrl-C ends it with a sentence while it is still being imported, too."""
    try:
        from featurestore.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; run the same command again to go on.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    leave_working_folder()
    main()
