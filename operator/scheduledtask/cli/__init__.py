"""The command line, `kubectl scheduledtask`: asks and steers tasks; all rules are those of `domain`.

Every command's heavy imports stand inside it, so that `next` and `--help` start quickly.
"""
