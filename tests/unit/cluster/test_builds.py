"""What decides whether a program is built again, and with which Go."""

from pathlib import Path

import pytest

from tests.cluster import ClusterError, builds, gotoolchain
from tests.cluster.builds import PROGRAMS, Program
from tests.cluster.paths import SOURCES

GO_MOD = """module example

go 1.26.0

tool example.com/cmd/server

require (
	example.com/cmd v1.2.3
	example.com/other v0.9.0 // indirect
)
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "go.mod").write_text(GO_MOD)
    (tmp_path / "go.sum").write_text("example.com/cmd v1.2.3 h1:hash\n")
    return tmp_path


SERVER = Program("server", "any", "example.com/cmd/server", seconds=1)


def test_a_package_has_the_version_of_the_module_that_holds_it(module: Path) -> None:
    assert builds.version(module, "example.com/cmd/server") == "v1.2.3"


def test_a_package_that_nothing_requires_is_an_error(module: Path) -> None:
    with pytest.raises(ClusterError, match=r"does not require example\.org/absent"):
        builds.version(module, "example.org/absent/cmd")


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_is_pinned_with_hashes_and_without_addresses(name: str) -> None:
    program = PROGRAMS[name]
    folder = SOURCES / program.module
    assert builds.version(folder, program.package).startswith(("v", "local"))
    assert (folder / "go.sum").exists() or builds.version(folder, program.package) == "local"
    assert "://" not in (folder / "go.mod").read_text()


def test_the_key_stays_while_nothing_changes(module: Path) -> None:
    assert builds.key(module, SERVER, "go1.26.8") == builds.key(module, SERVER, "go1.26.8")


def test_the_key_changes_with_the_pinned_versions(module: Path) -> None:
    before = builds.key(module, SERVER, "go1.26.8")
    (module / "go.mod").write_text(GO_MOD.replace("v0.9.0", "v0.9.1"))
    assert builds.key(module, SERVER, "go1.26.8") != before


def test_the_key_changes_with_the_hashes(module: Path) -> None:
    before = builds.key(module, SERVER, "go1.26.8")
    (module / "go.sum").write_text("example.com/cmd v1.2.3 h1:other\n")
    assert builds.key(module, SERVER, "go1.26.8") != before


def test_the_key_changes_with_go(module: Path) -> None:
    assert builds.key(module, SERVER, "go1.26.8") != builds.key(module, SERVER, "go1.26.9")


def test_kubernetes_programs_are_told_their_version() -> None:
    flags = builds.linker_flags(PROGRAMS["kubelet"], "v1.36.3")
    assert "version.gitVersion=v1.36.3" in flags
    assert "version.gitMajor=1 " in flags
    assert flags.endswith("version.gitMinor=36")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go1.26", (1, 26, 0)),
        ("go 1.26.0", (1, 26, 0)),
        ("go1.27rc1", (1, 27, 0)),
    ],
)
def test_go_versions_are_read_as_go_writes_them(text: str, version: tuple[int, int, int]) -> None:
    assert gotoolchain.parse_version(text) == version


def test_text_without_a_version_is_no_version() -> None:
    with pytest.raises(ValueError, match="no version number"):
        gotoolchain.parse_version("devel")


def test_the_go_that_is_needed_is_the_newest_that_any_module_asks_for(tmp_path: Path) -> None:
    for name, version in (("one", "1.9"), ("two", "1.26.1"), ("three", "1.26")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "go.mod").write_text(f"module {name}\n\ngo {version}\n")
    assert gotoolchain.required_version(tmp_path) == (1, 26, 1)


def test_the_pinned_wheel_of_go_satisfies_every_module() -> None:
    pinned = gotoolchain.parse_version((SOURCES / "go.txt").read_text())
    assert pinned >= gotoolchain.required_version()
