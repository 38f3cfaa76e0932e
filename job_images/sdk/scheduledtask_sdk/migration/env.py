"""Run by alembic: migrates over the connection, and in the transaction, that :mod:`scheduledtask_sdk.storage` has
opened."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
)
with context.begin_transaction():
    context.run_migrations()
