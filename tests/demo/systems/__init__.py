"""The systems that the demo can show, by the name of their folder in manifests/systems."""

from __future__ import annotations

from tests.demo.system import System
from tests.demo.systems.job_queue import JOB_QUEUE
from tests.demo.systems.match_history import MATCH_HISTORY
from tests.demo.systems.source_monitor import SOURCE_MONITOR
from tests.demo.systems.ticket_miner import TICKET_MINER

SYSTEMS: dict[str, System] = {
    system.folder: system for system in (MATCH_HISTORY, TICKET_MINER, JOB_QUEUE, SOURCE_MONITOR)
}
