"""`python -m rrdns` is the command `rrdns`."""

import sys

from rrdns.cli import main

if __name__ == "__main__":
    sys.exit(main())
