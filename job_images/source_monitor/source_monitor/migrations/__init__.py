"""The tables' history, one alembic revision a file."""
