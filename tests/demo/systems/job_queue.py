"""job_queue: documents and a file of customers, and stand-ins for Monday.com and Jira."""

from __future__ import annotations

from pathlib import Path

from tests.demo.system import Ask, StandIn, System

MONDAY_TOKEN, JIRA_TOKEN, EMAIL = "monday-of-the-stand-in", "jira-of-the-stand-in", "bot@example.com"
DOCUMENTS, CUSTOMERS = 40, 2000


def _material(folder: Path) -> str:
    documents, imports = folder / "documents", folder / "imports"
    for part in (documents, imports):
        part.mkdir(parents=True, exist_ok=True)
    for number in range(DOCUMENTS):
        title = f"Guide {number}"
        words = " ".join(
            f"Step {step} of guide {number} tells how to set up part {step * number}." for step in range(60)
        )
        if number % 2:
            (documents / f"guide-{number}.md").write_text(f"# {title}\n\n{words}\n")
        else:
            page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{words}</p></body></html>"
            (documents / f"guide-{number}.html").write_text(page)
    rows = [f"{number},Customer {number},customer{number}@example.com" for number in range(CUSTOMERS)]
    (imports / "customers.csv").write_text("\n".join(["id,name,email", *rows]) + "\n")
    return f"the volume holds {DOCUMENTS} documents and a file of {CUSTOMERS} customers"


JOB_QUEUE = System(
    folder="job_queue",
    asks=(
        (
            Ask("document-processing"),
            Ask("bulk-import", {"path": "customers.csv", "entity_type": "customer"}),
            Ask("monday-sync"),
            Ask("jira-refresh"),
        ),
        (Ask("embedding-generation"), Ask("audit-cleanup")),
    ),
    stand_ins=(
        StandIn(
            name="monday-stand-in",
            program="monday.py",
            arguments=("--token", MONDAY_TOKEN),
            settings={"job-queue": {"MONDAY_URL": "{url}/v2"}},
            secrets={"monday": {"MONDAY_TOKEN": MONDAY_TOKEN}},
        ),
        StandIn(
            name="jira-stand-in",
            program="jira.py",
            arguments=("--token", JIRA_TOKEN, "--email", EMAIL),
            settings={"job-queue": {"JIRA_URL": "{url}", "JIRA_EMAIL": EMAIL}},
            secrets={"jira": {"JIRA_TOKEN": JIRA_TOKEN}},
        ),
    ),
    material=_material,
)
