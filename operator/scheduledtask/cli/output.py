"""The forms of an answer. Apart from `printing`, so that `--help` and batches need not wait for its imports."""

from enum import StrEnum


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"
