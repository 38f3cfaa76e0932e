"""Documents of every kind, made by real programs' libraries."""

from __future__ import annotations

import io
import zipfile
from functools import cache

import docx
import pypdf
from fpdf import FPDF

SUBJECTS = {
    "passwords": "To reset a forgotten password, open the sign-in page and choose the link for a new one. A mail"
    " arrives with a code that is valid for an hour. Accounts with two factors also ask for the second device.",
    "invoices": "Invoices are sent to the customer on the first day of each month. A payment is due within thirty"
    " days. Credit notes correct an invoice that named a wrong price or tax.",
    "gardening": "Tomatoes want sun, water and patience. Plant the seedlings after the last frost, remove side"
    " shoots, and harvest the ripe fruit before the first cold nights of autumn.",
    "weather": "A storm with heavy rain and strong wind will reach the coast tonight. Temperatures fall below"
    " freezing in the mountains, where snow is expected until the weekend.",
}


def pdf(text: str, title: str = "", pages: int = 1) -> bytes:
    document = FPDF()
    document.set_title(title)
    document.set_font("helvetica", size=11)
    for _ in range(pages):
        document.add_page()
        document.multi_cell(0, 6, text)
    return bytes(document.output())


def encrypted_pdf(text: str, user_password: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(text)))
    writer.encrypt(user_password, "owner", algorithm="AES-256")
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def word(text: str, title: str = "", table: list[list[str]] | None = None) -> bytes:
    document = docx.Document()
    document.core_properties.title = title
    if title:
        document.add_heading(title)
    for paragraph in text.split("\n"):
        document.add_paragraph(paragraph)
    if table:
        grid = document.add_table(rows=0, cols=len(table[0]))
        for row in table:
            for cell, said in zip(grid.add_row().cells, row, strict=True):
                cell.text = said
    output = io.BytesIO()
    document.save(output)
    return output.getvalue()


@cache
def zipped(name: str, megabytes: int) -> bytes:
    """An archive of a few kilobytes with one file in it, which unpacks to so much."""
    output = io.BytesIO()
    with (
        zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as entry,
    ):
        for _ in range(megabytes):
            entry.write(bytes(1_000_000))
    return output.getvalue()
