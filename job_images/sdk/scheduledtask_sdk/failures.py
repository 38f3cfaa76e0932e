"""The ways a job ends without success, each with the exit code that says whether trying again can help.

The codes are those of sysexits.h. A ScheduledTask lists 65, 66, 77 and 78 as not retryable; 75 asks for another
attempt. A class of your own takes its exit code from the class it is made of.
"""

from __future__ import annotations

from typing import ClassVar

DEFECT = 70
"""The exit code of an error that nobody expected."""


class _Ending:
    """A message for a person and a context for a program: values that JSON can carry, and no secrets."""

    exit_code: ClassVar[int]
    retryable: ClassVar[bool] = False

    message: str
    context: dict[str, object]


class Failure(_Ending, Exception):  # noqa: N818 - the class names are what the termination message shows
    """An expected failure; raise one of its subclasses."""

    exit_code: ClassVar[int] = DEFECT

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.message = message
        self.context = context


class InvalidInput(Failure):
    """The input is there and can't be used."""

    exit_code = 65


class MissingInput(Failure):
    """The input is missing."""

    exit_code = 66


class NotFound(MissingInput):
    """What was asked for does not exist (404)."""


class PermissionDenied(Failure):
    """Refused by the file system, a database or an upstream (401, 403): someone has to grant or mend something."""

    exit_code = 77


class Misconfigured(Failure):
    """A setting is missing or wrong."""

    exit_code = 78


class Unavailable(Failure):
    """Something did not answer or is busy now and may answer later."""

    exit_code = 75
    retryable = True


class Timeout(Unavailable):
    """No answer in time."""


class RateLimited(Unavailable):
    """An upstream asked to come back later (429)."""


class Interrupted(_Ending, BaseException):
    """Stopped by a signal before the work was done.

    Not an Exception, as KeyboardInterrupt is none: work that goes on after the failure of one item must not go on
    after this.
    """

    exit_code = 75
    retryable = True

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.message = message
        self.context = context


Ending = Failure | Interrupted
