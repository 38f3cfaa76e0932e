"""``python -m source_monitor COMMAND``."""

import sys

from source_monitor.commands import main

if __name__ == "__main__":
    sys.exit(main())
