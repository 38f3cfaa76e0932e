"""The commands against servers that speak the upstreams' wire formats, with a database of either kind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.ticket_miner.miner import Miner
from tests.upstreams.anthropic_messages import AnthropicServer
from tests.upstreams.zendesk import EMAIL, ZendeskServer


@pytest.fixture(scope="session", autouse=True)
def _paths() -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)


@pytest.fixture
def zendesk() -> Iterator[ZendeskServer]:
    with ZendeskServer(token="zd-5e1c-secret") as server:
        yield server


@pytest.fixture
def claude() -> Iterator[AnthropicServer]:
    with AnthropicServer(key="sk-ant-5e1c-secret") as server:
        yield server


@pytest.fixture
def miner(tmp_path: Path, database_url: str, zendesk: ZendeskServer, claude: AnthropicServer) -> Iterator[Miner]:
    """With either kind of database."""
    made = Miner(tmp_path, settings(zendesk, claude) | {"DATABASE_URL": database_url})
    yield made
    made.close()


@pytest.fixture
def light_miner(tmp_path: Path, zendesk: ZendeskServer, claude: AnthropicServer) -> Iterator[Miner]:
    """With SQLite, for what has nothing to do with the database."""
    url = f"sqlite:///{tmp_path / 'ticket_miner.sqlite'}"
    made = Miner(tmp_path, settings(zendesk, claude) | {"DATABASE_URL": url})
    yield made
    made.close()


def settings(zendesk: ZendeskServer, claude: AnthropicServer) -> dict[str, str]:
    return {
        "ZENDESK_URL": zendesk.url,
        "ZENDESK_EMAIL": EMAIL,
        "ZENDESK_TOKEN": zendesk.token,
        "ZENDESK_PAGE_SIZE": "25",
        "ZENDESK_TIMEOUT": "1",
        "ZENDESK_LONGEST_WAIT": "5",
        "ANTHROPIC_BASE_URL": claude.url,
        "ANTHROPIC_API_KEY": claude.key,
        "ANTHROPIC_TIMEOUT": "1",
        "ANTHROPIC_LONGEST_WAIT": "5",
    }
