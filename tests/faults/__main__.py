"""`python -m tests.faults`: the operator is killed before and after every call of the scenario; prints a table."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

from tests.faults.kill_table import KillTable, print_table
from tests.faults.lab import control_plane, grounded


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--at-once", type=int, default=8, help="labs side by side; default: 8")
    parser.add_argument(
        "--cluster", default=os.environ.get("INTEGRATION_CLUSTER", "faults"), help="name of the control plane"
    )
    parser.add_argument("--slim", action="store_true", help="play only two strands of the scenario for each kill")
    parser.add_argument("--only", default="", help="only kills whose text matches this regular expression")
    parser.add_argument("--first", type=int, help="only so many kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, control_plane(options.cluster) as cluster:
        return asyncio.run(_table(cluster, Path(folder), options))


async def _table(cluster: object, folder: Path, options: argparse.Namespace) -> int:
    async with grounded(cluster, folder) as ground:  # type: ignore[arg-type]
        table = await KillTable.measure(ground, whole=not options.slim)
        kills = [kill for kill in table.kills() if re.search(options.only, str(kill))][: options.first]
        rows = await table.run(kills, options.at_once)
    print_table(table, rows)
    return 1 if any(row.trouble for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
