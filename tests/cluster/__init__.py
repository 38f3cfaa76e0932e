"""Real Kubernetes clusters for tests and the demo: `python -m tests.cluster --help`, or `Cluster.up()` from Python."""

from .cluster import Cluster, remove
from .paths import ClusterError

__all__ = ["Cluster", "ClusterError", "remove"]
