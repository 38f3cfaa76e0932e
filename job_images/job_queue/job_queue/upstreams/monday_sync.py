"""monday-sync: keep a copy of the items of Monday.com's boards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from job_queue.database import Row, storable
from job_queue.tables import MondayItem
from job_queue.upstreams import passes
from job_queue.upstreams.monday_api import CursorExpired, Monday, TooComplex
from scheduledtask_sdk import Run, Success
from scheduledtask_sdk.failures import Failure, InvalidInput, NotFound, PermissionDenied

CURSOR_LIFE = timedelta(minutes=50)
"""Monday.com forgets cursors after an hour."""

_COMPLEXITY = "complexity { before query after reset_in_x_seconds }"
_PAGE = "cursor items { id name state created_at updated_at group { id title } column_values { id type text value } }"
_BOARDS = f"query ($page: Int!) {{ {_COMPLEXITY} boards (limit: 100, page: $page, state: active) {{ id name }} }}"
_FIRST = (
    f"query ($board: [ID!], $limit: Int!) {{ {_COMPLEXITY}"
    f" boards (ids: $board) {{ items_page (limit: $limit) {{ {_PAGE} }} }} }}"
)
_NEXT = (
    f"query ($cursor: String!, $limit: Int!) {{ {_COMPLEXITY}"
    f" next_items_page (cursor: $cursor, limit: $limit) {{ {_PAGE} }} }}"
)


def sync(engine: sa.Engine, run: Run, monday: Monday, boards: list[str], page_size: int) -> Success:
    """Copy the items of the boards, or of all active boards where none is named.

    A board that is not there or not to be seen does not hold up the others; its failure is raised at the end.
    """
    counts = passes.Counts()
    refused: dict[str, Failure] = {}
    named = boards or list(_boards(monday))
    for number, board in enumerate(named):
        run.progress("Syncing boards", number, len(named))
        try:
            _sync_board(engine, run, monday, board, page_size, counts)
        except (NotFound, PermissionDenied) as failure:
            run.log.warning("board refused", board=board, reason=failure.message)
            refused[board] = failure
    result: dict[str, object] = {
        "boards": len(named) - len(refused),
        "items": counts.items,
        "new": counts.new,
        "changed": counts.changed,
        "removed": counts.removed,
    }
    if refused:
        first = next(iter(refused.values()))
        raise type(first)(
            f"{len(refused)} of {len(named)} boards refused ({', '.join(list(refused)[:10])}): {first.message}",
            **result,
        )
    found = f"{counts.new} new, {counts.changed} changed, {counts.removed} removed"
    message = f"{counts.items} items of {len(named)} boards ({found})"
    return Success(message, result)


def _boards(monday: Monday) -> Iterator[str]:
    page = 1
    while found := _list(monday.ask(_BOARDS, {"page": page}), "boards"):
        yield from (_id(board) for board in found)
        page += 1


def _sync_board(engine: sa.Engine, run: Run, monday: Monday, board: str, page_size: int, counts: passes.Counts) -> None:
    progress = passes.begin(engine, run, f"monday:{board}", CURSOR_LIFE)
    while not progress.done:
        try:
            page = _page(monday, board, progress.cursor, page_size)
        except CursorExpired as failure:
            if progress.cursor is None:
                raise
            run.log.warning("the board is begun anew", board=board, reason=failure.message)
            progress = passes.begin_anew(engine, run, progress)
            continue
        except TooComplex:
            if page_size == 1:
                raise
            page_size //= 2
            run.log.warning("asking for smaller pages", board=board, page_size=page_size)
            continue
        rows = [_row(board, item) for item in _list(page, "items")]
        scope = MondayItem.board_id == board
        progress = passes.keep_page(engine, run, progress, MondayItem, scope, rows, page.get("cursor") or None, counts)
        run.progress(f"Syncing board {board}", progress.items)


def _page(monday: Monday, board: str, cursor: str | None, page_size: int) -> dict[str, Any]:
    if cursor is not None:
        page = monday.ask(_NEXT, {"cursor": cursor, "limit": page_size}).get("next_items_page")
    else:
        boards = _list(monday.ask(_FIRST, {"board": [board], "limit": page_size}), "boards")
        if not boards:
            raise NotFound(f"Monday.com has no board {board}, or MONDAY_TOKEN's user does not see it", board=board)
        page = boards[0].get("items_page")
    if not isinstance(page, dict):
        raise InvalidInput(f"Monday.com answered without a page of items for board {board}")
    return page


def _list(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = data.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise InvalidInput(f"Monday.com answered without a list of {name}")
    return found


def _id(thing: dict[str, Any]) -> str:
    if not thing.get("id"):
        raise InvalidInput(f"Monday.com answered with a thing without id: {str(thing)[:200]}")
    return str(thing["id"])


def _row(board: str, item: dict[str, Any]) -> Row:
    data = storable({name: item.get(name) for name in ("created_at", "group", "column_values")})
    return {
        "id": _id(item),
        "board_id": board,
        "name": storable(str(item.get("name") or "")),
        "state": str(item.get("state") or ""),
        "updated_at": str(item.get("updated_at") or ""),
        "data": data,
    }
