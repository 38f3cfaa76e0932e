"""How long a job waits for the SDK before it works: ``python -m tests.bench.sdk [--times 20]``.

Wall-clock milliseconds in fresh processes, compiled files in place as in an image: the import alone, and the whole of a
job that does nothing, with and without a value for pydantic to check. The least and the median of all times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SDK = Path(__file__).parents[2] / "job_images" / "sdk"

IMPORT = "import time; began = time.perf_counter(); import scheduledtask_sdk; print(time.perf_counter() - began)"
JOB = """
import sys
from scheduledtask_sdk import Jobs
jobs = Jobs("empty", "Nothing.")
@jobs.command("nothing", "do nothing")
def nothing(count: int = 1, name: str = "") -> None:
    pass
sys.exit(jobs.main())
"""


def main() -> None:
    """Print a line for each measurement."""
    parser = argparse.ArgumentParser(description="Measure what the SDK costs at the start of a job.")
    parser.add_argument("--times", type=int, default=20, help="processes for each line (default 20)")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SDK), "PYTHONPYCACHEPREFIX": folder}
        job = Path(folder) / "job.py"
        job.write_text(JOB)
        print(f"{'milliseconds':<36}{'least':>8}{'median':>8}")
        for name, command in (
            ("import scheduledtask_sdk", ["-c", IMPORT]),
            ("python alone, start to end", ["-c", "pass"]),
            ("an empty job, start to end", [str(job), "nothing", "--name=x"]),
            ("the same with a number to check", [str(job), "nothing", "--count=2"]),
        ):
            taken = [measure(command, environment) for _ in range(times + 1)][1:]
            print(f"{name:<36}{min(taken):>8.1f}{statistics.median(taken):>8.1f}")


def measure(command: list[str], environment: dict[str, str]) -> float:
    """Milliseconds that the process prints, or that it took."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    whole = time.perf_counter() - began
    return 1000 * (float(done.stdout) if done.stdout else whole)


if __name__ == "__main__":
    main()
