"""The command `scheduledtask-operator`, also `python -m scheduledtask`."""

import asyncio
import sys

import structlog
from kubernetes.aio.config import ConfigException

from scheduledtask.controller.leader import LeadershipLostError
from scheduledtask.controller.operator import run
from scheduledtask.controller.settings import read_settings
from scheduledtask.logs import set_up_logs


def main() -> int:
    """Run the operator; the exit code is 0 after SIGTERM, 1 after what it could not live with."""
    settings = read_settings()
    set_up_logs(settings.log_format, settings.log_level)
    log = structlog.get_logger("scheduledtask")
    try:
        asyncio.run(run(settings))
    except ConfigException as error:
        log.error("no way to the API server", error=str(error), hint="set KUBECONFIG, or run in a pod")
        return 1
    except LeadershipLostError as error:
        log.error("leadership lost", error=str(error), hint="started anew, it stands by")
        return 1
    except OSError as error:
        log.error("can't start", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
