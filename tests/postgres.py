"""A real PostgreSQL with pgvector for tests: Debian's packages, unpacked into the cache and not installed.

::

    with running() as server:
        with server.database() as url:      # postgresql://…@127.0.0.1:…/…, empty, gone afterwards
            …

The programs lie with all their libraries in a root folder of their own, ``postgres/<recipe>/`` in the cache, so that
the machine's own Debian may be of any age (bookworm has no pgvector); made once, in half a minute. The server runs
inside that folder as an unprivileged user, on a free port, with a password, and with nothing forced to disk. It ends
with the process that started it, however that ends; what a killed one left on disk goes with the next start.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from tests.cluster import bases, oci, packages, ports
from tests.cluster.paths import ClusterError, cache, locked
from tests.cluster.processes import CONFINED
from tests.cluster.waiting import until

VERSION = "17"  # that of the suite
_INCLUDED = (f"postgresql-{VERSION}", f"postgresql-{VERSION}-pgvector", "dash", "util-linux")
_PROGRAMS = f"/usr/lib/postgresql/{VERSION}/bin"
_UNUSED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/perl",
    "usr/share/i18n",
    "usr/lib/*/libLLVM*",
)
_USER = 65534
_PORTS = range(ports.RANGE.stop, 32768)
_PLACES = ("bin", "lib", "lib64", "sbin")

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",  # the folder has no /dev/shm
    "jit": "off",
    "timezone": "UTC",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    port: int
    password: str
    process: subprocess.Popen[bytes]
    numbers: Iterator[int]

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases, for an administrator."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new empty database, dropped at the end with whoever is still connected."""
        name = f"test_{next(self.numbers)}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.url(name)
        finally:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def answers(self) -> bool:
        """Whether it takes connections. Raises ClusterError when it has ended."""
        if self.process.poll() is not None:
            raise ClusterError(f"PostgreSQL ended with {self.process.returncode}")
        with suppress(psycopg.OperationalError), psycopg.connect(self.url(), connect_timeout=2):
            return True
        return False

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as the block lasts."""
    root = unpacked()
    with _folder(root) as folder:
        password = secrets.token_urlsafe(12)
        (folder / "password").write_text(password)
        os.chown(folder / "password", *_owner())
        inside = f"/srv/{folder.name}"
        initdb = [f"{_PROGRAMS}/initdb", "--pgdata", f"{inside}/data", "--username=postgres", "--no-sync"]
        access = ["--auth=scram-sha-256", f"--pwfile={inside}/password", "--locale=C.UTF-8", "--encoding=UTF8"]
        done = subprocess.run(_within(root, *initdb, *access), capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(f"initdb: {done.stderr.strip()[-2000:]}")
        log = folder / "log"
        with log.open("wb") as output, _serving(root, f"{inside}/data", password, output) as server:
            try:
                until("PostgreSQL answers", server.answers, seconds=30)
            except ClusterError as error:
                raise ClusterError(f"{error}:\n{log.read_text(errors='replace')[-2000:]}") from None
            yield server


@contextmanager
def _serving(root: Path, data: str, password: str, output: IO[bytes]) -> Iterator[Server]:
    # By chance: two workers that look at the same time see the same ports as free.
    port = next(port for port in random.sample(_PORTS, len(_PORTS)) if ports.is_free(port))
    settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(port)}.items()]
    process = subprocess.Popen(
        _within(root, f"{_PROGRAMS}/postgres", "-D", data, *settings), stdout=output, stderr=subprocess.STDOUT
    )
    try:
        yield Server(port, password, process, count(1))
    finally:
        process.send_signal(signal.SIGQUIT)  # at once, without a checkpoint
        process.wait()


def unpacked() -> Path:
    """The root folder of the programs, made on first use. Raises ClusterError where that fails."""
    recipe = json.dumps([bases.SUITE, _INCLUDED, _UNUSED, oci.architecture()])
    root = cache() / "postgres" / hashlib.sha256(recipe.encode()).hexdigest()[:12]
    if not root.exists():
        with locked("postgres"):
            if not root.exists():
                _unpack(root)
    return root


def _unpack(root: Path) -> None:
    packages.ensure({"mmdebstrap": "mmdebstrap", "util-linux": "unshare"}, print)
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)"]
    mirror = bases.debian_mirror(subprocess.run(targets, capture_output=True, text=True).stdout)
    root.parent.mkdir(parents=True, exist_ok=True)
    for unfinished in root.parent.glob("unfinished-*"):
        shutil.rmtree(unfinished)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix="unfinished-") as folder:
        made = Path(folder) / "root"
        command = [
            "mmdebstrap",
            f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
            "--variant=extract",  # the packages and what they depend on, without their scripts
            f"--include={','.join(_INCLUDED)}",
            '--aptopt=APT::Install-Recommends "false"',
            bases.SUITE,
            str(made),
            *([mirror] if mirror else []),
        ]
        confined = CONFINED if os.geteuid() == 0 else ()
        done = subprocess.run(
            [*confined, *command], capture_output=True, text=True, env={**os.environ, "TMPDIR": folder}
        )
        if done.returncode:
            raise ClusterError(f"mmdebstrap could not unpack PostgreSQL:\n{done.stderr.strip()[-3000:]}")
        for unused in (path for pattern in _UNUSED for path in made.glob(pattern)):
            shutil.rmtree(unused) if unused.is_dir() else unused.unlink()
        for place in _PLACES:
            if not (made / place).exists():
                (made / place).symlink_to(f"usr/{place}")
        (made / "etc/passwd").write_text(f"postgres:x:{_USER}:{_USER}::/:/bin/sh\n")
        (made / "srv").mkdir(exist_ok=True)
        made.chmod(0o755)
        made.rename(root)


def _within(root: Path, *command: str) -> list[str]:
    """The command inside the root folder, as a user without rights, ended with its caller."""
    ended = ("setpriv", "--pdeathsig=QUIT")
    if os.geteuid() == 0:
        return ["chroot", f"--userspec={_USER}:{_USER}", str(root), *ended, *command]
    return ["unshare", f"--map-user={_USER}", f"--map-group={_USER}", f"--root={root}", "--wd=/", *ended, *command]


def _owner() -> tuple[int, int]:
    """Who inside the root folder is the server's user."""
    return (_USER, _USER) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


@contextmanager
def _folder(root: Path) -> Iterator[Path]:
    """A folder of one's own below /srv, held by a lock, so that those of dead owners can be told and removed."""
    with locked("postgres"):
        for other in (root / "srv").iterdir():
            with suppress(BlockingIOError, FileNotFoundError), (other / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(other)
        folder = Path(tempfile.mkdtemp(dir=root / "srv"))
        lock = (folder / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        os.chown(folder, *_owner())
        yield folder
    finally:
        shutil.rmtree(folder)
        lock.close()
