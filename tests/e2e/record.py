"""What happened to objects while a test did other things: every version of them that a watch tells of."""

import json
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.integration.tasks import Body, Tasks


@contextmanager
def recorded(tasks: Tasks, *what: str) -> Iterator[list[Body]]:
    """The watch events of what `kubectl get` calls so, those that are there already first; it grows as they come."""
    watch = ("--namespace", tasks.namespace, "get", *what, "--watch", "--output-watch-events", "-o", "json")
    command, environment = tasks.cluster.kubectl_command(*watch), tasks.cluster.environment()
    events = list[Body]()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        reader = threading.Thread(target=_read, args=(process.stdout, events), daemon=True)
        reader.start()
        try:
            yield events
        finally:
            process.terminate()
            reader.join()


def latest(events: list[Body]) -> dict[str, Body]:
    """Each object as it was last seen, also one that was deleted since, by name."""
    return {event["object"]["metadata"]["name"]: event["object"] for event in list(events)}


def _read(lines: Iterable[str], events: list[Body]) -> None:
    for line in lines:
        events.append(json.loads(line))
