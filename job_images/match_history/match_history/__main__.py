import sys

from match_history.cli import main

if __name__ == "__main__":
    sys.exit(main())
