"""How long refresh-history-index takes, and how much memory: ``python -m tests.bench.match_history [--matches 10000]``.

For a tenth of the matches and for all of them: a first run, a second one with nothing changed, and a third with
one file in a hundred corrected; each in a process of its own, wall-clock time, processor time and peak resident
memory (RSS) of that process. Memory must not grow with the matches.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.upstreams import match_v5

IMAGES = Path(__file__).parents[2] / "job_images"


def measure(root: Path) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processor time and MiB of one run."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(str(IMAGES / name) for name in ("match_history", "sdk")),
        "DATA_ROOT": str(root),
        "TERMINATION_LOG": os.devnull,
    }
    started = time.monotonic()
    command = [sys.executable, "-m", "match_history", "refresh-history-index"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the job ended with exit code {process.returncode}")
    return time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Print a line for each size and run."""
    parser = argparse.ArgumentParser(description="Measure refresh-history-index.")
    parser.add_argument("--matches", type=int, default=10_000, help="the larger of the two sizes (default 10000)")
    matches = parser.parse_args().matches
    print(f"{'matches':>8}  {'run':<18}{'seconds':>8}{'CPU s':>8}{'RSS MiB':>9}")
    for count in (matches // 10, matches):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            processed = root / "data" / "processed"
            match_v5.write(processed, count, seed=1)
            time.sleep(2.1)  # files younger than two seconds are read again, see history_index
            for run in ("first", "nothing changed", "1 % corrected"):
                if run == "1 % corrected":
                    for path in sorted(processed.rglob("*.json"))[::100]:
                        path.write_bytes(
                            path.read_bytes()
                            .replace(b'"win":true', b'"win":null')
                            .replace(b'"win":false', b'"win":true')
                            .replace(b'"win":null', b'"win":false')
                        )
                seconds, processor, memory = measure(root)
                print(f"{count:>8}  {run:<18}{seconds:>8.2f}{processor:>8.2f}{memory:>9.1f}")


if __name__ == "__main__":
    main()
