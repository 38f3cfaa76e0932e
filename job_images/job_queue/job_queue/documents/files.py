"""The files below the documents folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path, inside: str = "") -> Iterator[str]:
    """Paths of the files below `folder`, relative to it, in order; hidden ones are none of ours. Links count where
    they lead to a file below the folder."""
    try:
        with os.scandir(folder / inside) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except NotADirectoryError:
        yield inside.rstrip("/")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from walk(folder, inside + entry.name + "/")
        elif _is_file(folder, entry):
            yield inside + entry.name


def _is_file(folder: Path, entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() and (not entry.is_symlink() or is_below(folder, Path(entry.path)))
    except (OSError, RuntimeError):  # as of links in a circle
        return False


def is_below(folder: Path, path: Path) -> bool:
    """Whether the path, when its links are followed, leads below the folder."""
    return path.resolve().is_relative_to(folder.resolve())


def stamp(path: Path) -> str | None:
    """What changes when the file is written; None where there is no file."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}" if stat.S_ISREG(status.st_mode) else None


def is_gone(path: Path) -> bool:
    """Whether there is certainly no file any more."""
    try:
        return stamp(path) is None
    except OSError:
        return False


def digest(path: Path) -> str:
    """SHA-256 of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown(path: str) -> str:
    """The path as text that can be kept and printed, whatever bytes the name is made of."""
    return path.encode("utf-8", "backslashreplace").decode()
