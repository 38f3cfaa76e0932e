from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests import install

Object = dict[str, Any]


class Rendered(list[Object]):
    """The objects that the chart makes of some values."""

    def of_kind(self, kind: str) -> list[Object]:
        return [item for item in self if item["kind"] == kind]

    def only(self, kind: str) -> Object:
        [found] = self.of_kind(kind)
        return found


Render = Callable[..., Rendered]


@pytest.fixture(scope="session")
def render() -> Render:
    def from_values(**values: Any) -> Rendered:
        return Rendered(item for item in yaml.safe_load_all(install.render(values)) if item)

    return from_values


@pytest.fixture(scope="session")
def default(render: Render) -> Rendered:
    """The chart with nothing set."""
    return render()
