"""How a job ended well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Success:
    """One line for a person, a result for a program: what JSON can carry, and no secrets."""

    message: str
    result: Mapping[str, object] = field(default_factory=dict)
