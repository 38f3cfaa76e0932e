"""Files are read in a process of their own, because a hostile or broken one may take all memory, all time, or crash.

Run as ``python -m job_queue.documents.reading_process MEMORY SECONDS`` (MiB, seconds a file), the process says that it
is ready, and then answers each line on its standard input, a path as JSON, with a line ``{"title", "text"}`` or
``{"unreadable": reason}``. It limits itself: beyond MEMORY an allocation fails, and after SECONDS its alarm ends it. It
ends with its input, so also when its parent was killed.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self

from job_queue.documents.readers import Text, Unreadable, read

TEXT_LIMIT = 20_000_000
"""Characters that a file may say."""


class Reader:
    """Reads files one by one, in the process that there is or, after one ended, in a new one."""

    def __init__(self, memory: int, seconds: int) -> None:
        self._limits = (memory, seconds)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
        self._end()

    def read(self, path: Path) -> Text:
        """The text of the file. Raises :class:`Unreadable`."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(str(path)) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Unreadable(self._cause(self._end()))
        said = json.loads(answer)
        if "unreadable" in said:
            raise Unreadable(said["unreadable"])
        return Text(said["title"], said["text"])

    def _start(self) -> subprocess.Popen[str]:
        memory, seconds = self._limits
        self._process = subprocess.Popen(
            [sys.executable, "-m", "job_queue.documents.reading_process", str(memory), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"the process that reads files does not start (exit code {self._end()})")
        return self._process

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with process:  # which closes the pipes and waits
            pass
        return process.returncode

    def _cause(self, code: int) -> str:
        if code == -signal.SIGALRM:
            return f"reading it takes longer than {self._limits[1]} s"
        if code == -signal.SIGKILL:
            return "reading it was killed, as by want of memory"
        return f"the program that read it crashed (exit code {code})"


def _serve(memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory << 20, memory << 20))
    # A stop is the parent's to deal with: a file that was being read then is read again by the next run.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("ready", flush=True)
    logging.disable()
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        signal.alarm(seconds)
        answer = _answer(Path(json.loads(line)))
        signal.alarm(0)
        print(json.dumps(answer), flush=True)


def _answer(path: Path) -> dict[str, str | None]:
    try:
        found = read(path)
    except Unreadable as error:
        return {"unreadable": str(error)}
    except MemoryError:
        return {"unreadable": "reading it takes more memory than is allowed"}
    except RecursionError:
        return {"unreadable": "broken: nested too deep"}
    except OSError as error:
        return {"unreadable": f"can't be opened: {error.strerror or error}"}
    except Exception as error:  # every other fault of a library on this file is the file's
        return {"unreadable": f"broken: {type(error).__name__}: {error}"[:500]}
    if len(found.text) > TEXT_LIMIT:
        return {"unreadable": f"says {len(found.text)} characters; the limit is {TEXT_LIMIT}"}
    return {"title": found.title, "text": found.text}


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
