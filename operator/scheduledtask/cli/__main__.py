"""`python -m scheduledtask.cli` is `kubectl scheduledtask`."""

from scheduledtask.cli.main import main

main()
