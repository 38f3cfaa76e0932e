"""How fast and how frugal the operator is, on a real control plane of its own: ``python -m tests.bench.operator``."""
