"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes tells of the machine's other work, not of the code: speed is measured in tests/bench.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")
