"""Where alembic looks for its ``env.py``; the migrations themselves are those of each job."""
