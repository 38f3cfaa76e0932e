"""refresh-model-registry: the models that there are, from their cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from match_history.model_cards import CARD_NAMES, SIZE_LIMIT, BrokenCard, read_card
from match_history.model_registry import refresh
from scheduledtask_sdk import Success
from scheduledtask_sdk.failures import InvalidInput, NotFound
from tests.unit.match_history.conftest import Job
from tests.unit.match_history.documents import put


class Registered:
    """A folder of models and the registry over it."""

    def __init__(self, root: Path) -> None:
        self.models, self.registry = root / "models", root / "ml_pipeline" / "model_registry.json"

    def card(self, name: str, text: str = '{"version": "1.0"}') -> Path:
        return put(self.models / name, text.encode())

    def refresh(self) -> Success:
        return refresh(self.models, self.registry)

    def listed(self) -> dict[str, Any]:
        return dict(json.loads(self.registry.read_bytes())["models"])


@pytest.fixture
def registered(tmp_path: Path) -> Registered:
    return Registered(tmp_path)


def test_new_and_removed_models_are_counted_and_named(registered: Registered) -> None:
    for name in ("draft", "lanes"):
        registered.card(f"{name}/card.json")
    assert registered.refresh().message == "2 models (+2 new, -0 removed); new: draft, lanes"
    registered.card("bans/card.yaml", "version: 2")
    (registered.models / "lanes" / "card.json").rename(registered.models / "gone.json")
    (registered.models / "lanes").rmdir()
    success = registered.refresh()
    assert success.message == "2 models (+1 new, -1 removed); new: bans; removed: lanes"
    assert (success.result["new"], success.result["removed"]) == (["bans"], ["lanes"])
    assert list(registered.listed()) == ["bans", "draft"]


def test_json_yaml_and_front_matter_say_the_same(registered: Registered) -> None:
    registered.card("a/card.json", '{"version": "1.2", "description": "drafts", "metrics": {"auc": 0.71}}')
    registered.card("b/card.yml", 'version: "1.2"\ndescription: drafts\nmetrics: {auc: 0.71}\n')
    registered.card("c/README.md", '---\nversion: "1.2"\ndescription: drafts\nmetrics:\n  auc: 0.71\n---\n# Drafts\n')
    registered.refresh()
    contents = [entry["content"] for entry in registered.listed().values()]
    assert contents == [{"version": "1.2", "description": "drafts", "metrics": {"auc": 0.71}}] * 3
    assert registered.listed()["c"]["card"] == "c/README.md"


@pytest.mark.parametrize("position", range(len(CARD_NAMES) - 1))
def test_the_first_name_in_order_is_the_card(registered: Registered, position: int) -> None:
    for name in CARD_NAMES[position:]:
        mark = json.dumps({"version": name})
        registered.card(f"m/{name}", f"---\n{mark}\n---\n" if name.endswith(".md") else mark)
    assert read_card(registered.models / "m").file == CARD_NAMES[position]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("card.json", '{"version": ', "card.json: Expecting value"),
        ("card.json", "[1]", "card.json: a card is a mapping"),
        ("card.json", "[" * 100_000, "card.json: nested too deeply"),
        ("card.json", '"' + "x" * SIZE_LIMIT + '"', "card.json: larger than"),
        ("card.yaml", "a: [1", "card.yaml: while parsing"),
        ("card.yaml", "", "card.yaml: a card is a mapping, this is empty"),
        ("card.yaml", "a: &x [1, 2]\nb: [*x, *x]", "aliases"),
        ("card.yaml", "a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("card.yaml", "a: !!binary aGk=", "binary values"),
        ("README.md", "# A model\n", "README.md: no YAML front matter"),
        ("README.md", "---\nversion: 1\n", "README.md: the YAML front matter has no end"),
        ("weights.bin", "", "no card; expected one of card.json"),
    ],
)
def test_a_broken_card_says_why_and_hides_no_other(registered: Registered, name: str, text: str, reason: str) -> None:
    registered.card("good/card.json")
    registered.card(f"bad/{name}", text)
    success = registered.refresh()
    assert success.message == "2 models (+2 new, -0 removed); new: bad, good; broken: bad"
    assert reason in registered.listed()["bad"]["reason"]
    assert registered.listed()["good"]["status"] == "ok"


def test_a_card_that_is_no_utf_8_is_broken(tmp_path: Path) -> None:
    put(tmp_path / "card.json", b'{"version": "\xff"}')
    with pytest.raises(BrokenCard, match="utf-8"):
        read_card(tmp_path)


def test_values_that_json_lacks_become_what_it_has(tmp_path: Path) -> None:
    put(tmp_path / "card.yaml", b"trained: 2025-10-20\nat: 2025-10-20T10:00:00Z\nloss: .nan\n1: one\ntags: !!set {a}\n")
    assert read_card(tmp_path).content == {
        "trained": "2025-10-20",
        "at": "2025-10-20T10:00:00+00:00",
        "loss": None,
        "1": "one",
        "tags": ["a"],
    }


def test_a_model_whose_card_breaks_stays_listed_with_its_last_good_card(registered: Registered) -> None:
    registered.card("other/card.json")
    registered.card("m/card.json", '{"version": "3"}')
    registered.refresh()
    registered.card("m/card.json", '{"version": ')
    success = registered.refresh()
    assert (success.result["removed"], success.result["changed"]) == ([], ["m"])
    assert registered.listed()["m"]["status"] == "broken"
    assert registered.listed()["m"]["version"] == "3"
    registered.card("m/card.json", '{"version": "4"}')
    registered.refresh()
    assert (registered.listed()["m"]["status"], registered.listed()["m"]["version"]) == ("ok", "4")


def test_when_every_card_is_broken_the_registry_says_so_and_the_run_fails(registered: Registered) -> None:
    registered.card("m/card.json", "{")
    with pytest.raises(InvalidInput, match="no model card can be read"):
        registered.refresh()
    assert registered.listed()["m"]["status"] == "broken"


def test_nothing_is_written_when_nothing_changed(registered: Registered) -> None:
    registered.card("m/card.json")
    registered.refresh()
    before = registered.registry.stat()
    assert registered.refresh().result["written"] is False
    assert registered.registry.stat() == before


def test_without_any_model_the_registry_is_empty(registered: Registered) -> None:
    registered.models.mkdir()
    assert registered.refresh().message == "0 models (+0 new, -0 removed)"
    assert registered.listed() == {}


def test_the_folder_missing_is_missing_input(registered: Registered) -> None:
    with pytest.raises(NotFound, match="is missing"):
        registered.refresh()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"models": []}', b'{"models": {"m": 1}}'])
def test_a_damaged_registry_is_begun_again(registered: Registered, content: bytes) -> None:
    registered.card("m/card.json")
    put(registered.registry, content)
    assert registered.refresh().result["new"] == ["m"]
    assert list(registered.listed()) == ["m"]


def test_hidden_folders_and_loose_files_are_no_models(registered: Registered) -> None:
    registered.card("m/card.json")
    registered.card(".git/card.json")
    registered.card("lost+found/x")
    registered.card("notes.txt")
    assert registered.refresh().result["models"] == ["m"]


def test_the_command_leaves_the_message_that_the_operator_reads(job: Job) -> None:
    put(job.root / "models" / "draft" / "card.json", b"{}")
    ended = job.run("refresh-model-registry")
    assert ended.exit_code == 0
    assert ended.message == "1 models (+1 new, -0 removed); new: draft"
    assert ended.result["duration_seconds"] >= 0
