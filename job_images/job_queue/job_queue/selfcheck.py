"""Imported when the image is built: whatever the jobs load only when they need it is there and works offline."""

import sqlite3

import bs4
import cryptography
import docx
import markdown_it
import openpyxl
import psycopg
import pydantic
import pypdf
import sqlite_vec

import job_queue.cli
import job_queue.documents.document_processing
import job_queue.embeddings.embedding_generation
import job_queue.imports.bulk_import
import job_queue.upstreams.jira_refresh
import job_queue.upstreams.monday_sync
from job_queue.embeddings import model

LOADED = (cryptography, docx, markdown_it, openpyxl, psycopg, pydantic, pypdf, job_queue)

assert bs4.BeautifulSoup("<p>here", "lxml").p is not None
database = sqlite3.connect(":memory:")
database.enable_load_extension(True)
database.load_extension(sqlite_vec.loadable_path())
assert model.load("").embed(["here"])[0] is not None
