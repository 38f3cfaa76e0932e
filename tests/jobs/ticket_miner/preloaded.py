"""Everything that the commands import, for the process from which those of the tests are forked: also what libraries
import and make only when they are used."""

# ruff: noqa: F401

import sqlite3

import anthropic.types
import anyio._backends._asyncio
import httpcore
import httpcore2
import psycopg
import sqlalchemy.dialects.postgresql.psycopg
import sqlalchemy.dialects.sqlite.pysqlite

import ticket_miner.analyze
import ticket_miner.claude
import ticket_miner.commands
import ticket_miner.report
import ticket_miner.sync
import ticket_miner.trends
from scheduledtask_sdk import command_line, http, storage, values

anthropic.types.Message.model_rebuild(force=True)
