"""What a command says when it can't do its work."""


class CommandError(Exception):
    """Ends the command with exit code 1. The message says what is wrong and what to do about it."""
