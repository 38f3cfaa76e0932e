"""The child that reads one PDF: ``python -m source_monitor.pdf_child MEBIBYTES SECONDS``, the file on standard input,
the pages' text on standard output with a form feed after each. See pdf_text."""

from __future__ import annotations

import io
import logging
import resource
import sys

from source_monitor.pdf_text import OUT_OF_MEMORY, UNREADABLE

_MOST_PAGES = 3000


def main() -> int:
    """Read, write, and return the exit code."""
    mebibytes, seconds = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable()  # what pypdf mends on its way is not worth a word
    try:
        return _read(sys.stdin.buffer.read())
    except MemoryError:
        return OUT_OF_MEMORY


def _read(body: bytes) -> int:
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(body))
        if reader.is_encrypted and not reader.decrypt(""):
            return _refuse("a PDF file that needs a password")
        for number, page in enumerate(reader.pages):
            if number == _MOST_PAGES:
                return _refuse(f"a PDF file of more than {_MOST_PAGES} pages")
            sys.stdout.buffer.write(page.extract_text().encode(errors="replace") + b"\f")
    except MemoryError:
        raise
    except LimitReachedError as error:
        return _refuse(f"a PDF file beyond the limits of its reader: {error}")
    except PyPdfError as error:
        return _refuse(f"a broken PDF file: {error}")
    except Exception as error:  # broken files raise whatever comes: pypdf promises no more
        return _refuse(f"a broken PDF file: {type(error).__name__}: {error}")
    return 0


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return UNREADABLE


if __name__ == "__main__":
    sys.exit(main())
