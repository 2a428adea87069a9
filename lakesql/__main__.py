"""`python -m lakesql`: the command line."""

import sys

from lakesql.frontends.cli import main

if __name__ == "__main__":
    sys.exit(main())
