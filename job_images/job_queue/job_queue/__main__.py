import sys

from job_queue.cli import main

if __name__ == "__main__":
    sys.exit(main())
