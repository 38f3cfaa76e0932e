"""Which provider makes a cluster, and why: decided once, said aloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from .paths import ClusterError

Size = Literal["control-plane", "node"]
Provider = Literal["local", "kind"]
Wish = Literal["auto", "kind", "local"]

VARIABLE = "SCHEDULEDTASK_CLUSTER_PROVIDER"


def choose(
    wish: Wish | None, environment: Mapping[str, str], size: Size, engine_answers: Callable[[], bool]
) -> tuple[Provider, str]:
    """The provider and the reason. `wish` goes before the environment's; the engine is asked only where that decides.

    A control plane is local also beside a Docker engine: it needs neither an engine nor root, and starts faster.
    Raises ClusterError for an unknown wish.
    """
    asked = wish or environment.get(VARIABLE, "auto")
    by = "as asked for" if wish else f"as ${VARIABLE} says"
    match asked:
        case "local":
            return "local", by
        case "kind":
            return "kind", by
        case "auto" if size == "control-plane":
            return "local", "a control plane needs no container engine"
        case "auto" if engine_answers():
            return "kind", "a Docker engine answers"
        case "auto":
            return "local", "no Docker engine answers"
    raise ClusterError(f"${VARIABLE}={asked}: use auto, kind or local")
