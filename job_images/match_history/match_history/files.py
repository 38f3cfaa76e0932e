"""Files that a reader finds whole or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LEFTOVER_AGE = 3600.0


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Replace the file by the chunks in one step, also across a crash or a power failure.

    The new content is written beside the old, forced to disk and renamed over it; the folder is made where it
    is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_beside(path) as temporary:
        with temporary.open("wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    prefix = f".{path.name}."
    # What a killed run left is cleared away; a young one may belong to a run that is writing just now.
    for leftover in path.parent.glob(f"{prefix}*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime > _LEFTOVER_AGE:
                leftover.unlink()
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within the block, a failure to read the open file names it, as a failure to open it does."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def shown(path: str) -> str:
    """The path as text that can be printed, whatever bytes the name is made of."""
    return path.encode("utf-8", "backslashreplace").decode()
