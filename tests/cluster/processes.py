"""Daemons of a cluster: started detached, and found again through a mark in their environment.

The kernel's own process table is the only record. A pid file can be lost between the start of a process and the
writing of its number, and can name a stranger after the number is used again; a mark in the environment of the process
itself can do neither, whatever was killed and when. Signals go through a pidfd opened before the mark is read, so that
they hit the very process that was looked at.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .paths import ClusterError

CLUSTER_MARK = "SCHEDULEDTASK_CLUSTER_DIRECTORY"
DAEMON_MARK = "SCHEDULEDTASK_CLUSTER_DAEMON"

# In front of a command that makes mounts or works long: namespaces of its own, gone with every process and mount in
# them as soon as it ends or its caller is killed.
CONFINED = ("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child=SIGKILL",
            "--mount-proc", "--propagation=private")  # fmt: skip

_children: list[int] = []


@dataclass(frozen=True)
class Daemon:
    """A program that a cluster keeps running. Its output is appended to ``log/<name>.log`` in the cluster's folder."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def log_file(directory: Path, daemon: str) -> Path:
    """The log of a daemon of the cluster in `directory`."""
    return directory / "log" / f"{daemon}.log"


def marked_environment(directory: Path, daemon: Daemon) -> dict[str, str]:
    """The whole environment of a daemon: search path, home, what it asks for, the marks; no more is inherited."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, **daemon.environment, CLUSTER_MARK: str(directory), DAEMON_MARK: daemon.name}


def start(directory: Path, daemon: Daemon, pass_fds: tuple[int, ...] = ()) -> None:
    """Start a daemon in a session of its own. When this returns the program runs, so `running` shows it.

    Raises OSError when it can't be executed.
    """
    log = log_file(directory, daemon.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            daemon.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=marked_environment(directory, daemon),
            cwd=directory,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    child.returncode = 0  # Popen's own care ends here: it would complain about a daemon that outlives the caller
    _children.append(child.pid)
    # Popen returns when the kernel lets go of the old program, a moment before the new one's environment can be read.
    while _daemon_name(child.pid, directory) is None and not _has_ended(child.pid):
        time.sleep(0.001)


def running(directory: Path) -> dict[int, str]:
    """Process id to daemon name, of every living process that carries the mark of the cluster in `directory`.

    The name is empty for what a daemon itself has started (containerd's shims): those inherit the mark, but only the
    daemon leads its session.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (name := _daemon_name(int(entry.name), directory)) is not None:
            found[int(entry.name)] = name
    return found


def _daemon_name(pid: int, directory: Path) -> str | None:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, or somebody else's
        return None
    if f"{CLUSTER_MARK}={directory}".encode() not in environment:
        return None
    try:
        leads = os.getsid(pid) == pid
    except ProcessLookupError:
        return None
    marks = dict(item.split(b"=", 1) for item in environment if b"=" in item)
    return marks.get(DAEMON_MARK.encode(), b"").decode() if leads else ""


def _has_ended(child: int) -> bool:
    """Whether a child has ended; its exit status stays to be collected."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _marked(directory: Path, daemon: str | None) -> Iterator[tuple[int, int]]:
    """Pairs of pid and pidfd of the marked processes; the caller closes the pidfd."""
    for pid in running(directory):
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            continue
        name = _daemon_name(pid, directory)
        if name is not None and (daemon is None or name == daemon):
            yield pid, handle
        else:
            os.close(handle)


def kill(directory: Path, daemon: str | None = None, seconds: float = 20) -> None:
    """SIGKILL the cluster's processes (or only those of one daemon) until none is left.

    Raises ClusterError when some are still there after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while handles := dict(_marked(directory, daemon)):
        try:
            for handle in handles.values():
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            living = {pid for pid, handle in handles.items() if not _await_end(handle, deadline)}
        finally:
            for handle in handles.values():
                os.close(handle)
        if living:
            pids = ", ".join(str(pid) for pid in sorted(living))
            raise ClusterError(f"processes {pids} of {directory} are still there {seconds:.0f} s after SIGKILL")
    _forget_the_dead()


def _await_end(handle: int, deadline: float) -> bool:
    """Wait until the process behind a pidfd has ended; False where it still lives at the deadline.

    A dying process has lost its memory, and with it the mark, some time before it lets go of its ports.
    """
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(max(0, deadline - time.monotonic()) * 1000))


def _forget_the_dead() -> None:
    """Collect the daemons that this process itself had started, or it would keep their zombies."""
    for pid in list(_children):
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            ended = True
        if ended:
            _children.remove(pid)


def log_tail(directory: Path, daemon: str, lines: int = 15) -> str:
    """The last lines of a daemon's log."""
    log = log_file(directory, daemon)
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
