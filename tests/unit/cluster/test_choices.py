"""What the tool decides for the user: provider, names, ports, and what a machine lacks."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cluster import ClusterError, cgroups, machine, packages, paths, ports, providers
from tests.cluster.providers import Provider, Size, Wish


@pytest.mark.parametrize(
    ("wish", "variable", "size", "engine", "chosen"),
    [
        (None, None, "node", True, "kind"),
        (None, None, "node", False, "local"),
        (None, None, "control-plane", True, "local"),
        ("auto", "kind", "node", False, "local"),
        ("local", "kind", "node", True, "local"),
        ("kind", "local", "node", False, "kind"),
        (None, "kind", "node", False, "kind"),
        (None, "local", "node", True, "local"),
    ],
)
def test_the_provider_is_what_was_asked_for_or_what_works(
    wish: Wish | None, variable: str | None, size: Size, engine: bool, chosen: Provider
) -> None:
    environment = {providers.VARIABLE: variable} if variable else {}
    provider, why = providers.choose(wish, environment, size, lambda: engine)
    assert provider == chosen
    assert why


def test_the_engine_is_not_asked_where_its_answer_is_of_no_use() -> None:
    def never() -> bool:
        raise AssertionError

    providers.choose("local", {}, "node", never)
    providers.choose("kind", {}, "node", never)
    providers.choose("auto", {}, "control-plane", never)


def test_an_unknown_provider_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ClusterError, match=r"SCHEDULEDTASK_CLUSTER_PROVIDER=minikube: use auto, kind or local"):
        providers.choose(None, {providers.VARIABLE: "minikube"}, "node", lambda: False)


@pytest.mark.parametrize("name", ["dev", "e2e-2", "a", "x" * 32])
def test_a_name_that_can_name_a_folder_a_group_and_a_host_is_taken(name: str) -> None:
    assert paths.cluster_directory(name).name == name


@pytest.mark.parametrize("name", ["", "Dev", "a_b", "-a", "a-", "../up", "a/b", "x" * 33])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="lower-case letters, digits"):
        paths.cluster_directory(name)


NUMBERS = st.integers(min_value=ports.RANGE[0], max_value=ports.RANGE[0] + 20)


@given(taken=st.sets(NUMBERS), busy=st.sets(NUMBERS))
def test_chosen_ports_are_free_distinct_and_nobody_elses(taken: set[int], busy: set[int]) -> None:
    chosen = ports.choose(["etcd", "api"], taken, lambda port: port not in busy)
    assert list(chosen) == ["etcd", "api"]
    assert len(set(chosen.values())) == 2
    assert not set(chosen.values()) & (taken | busy)
    assert all(port in ports.RANGE for port in chosen.values())


OVERLAY = "nodev\tsysfs\nnodev\toverlay\n\text4\n"


@pytest.mark.parametrize(
    ("filesystems", "cache", "user", "lacks"),
    [
        (OVERLAY, "ext4", 0, []),
        (OVERLAY, "ext4", 1000, ["root:"]),
        ("nodev\tsysfs\n\text4\n", "ext4", 0, ["overlay file systems"]),
        (OVERLAY, "overlay", 0, ["a cache that is no overlay"]),
        ("", "overlay", 1000, ["root:", "overlay file systems", "a cache that is no overlay"]),
    ],
)
def test_what_keeps_a_machine_from_running_a_node_is_named(
    filesystems: str, cache: str, user: int, lacks: list[str]
) -> None:
    found = machine.node_lacks(filesystems, cache, user)
    assert [reason.startswith(expected) for expected, reason in zip(lacks, found, strict=True)] == [True] * len(lacks)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/data/cache", "ext4"), ("/database", "overlay"), ("/", "overlay"), ("/data/twice/x", "tmpfs")],
)
def test_the_file_system_of_a_folder_is_that_of_the_deepest_mount_above_it(path: str, kind: str) -> None:
    mounts = "overlay / overlay rw 0 0\n/dev/a /data ext4 rw\nx /data/twice xfs rw\ny /data/twice tmpfs rw\n"
    assert machine.filesystem_of(Path(path), mounts) == kind


def test_a_package_is_missing_when_its_command_or_file_is() -> None:
    wanted = {"shell": "sh", "passwords": "/etc/passwd", "nonsense": "no-such-command", "nowhere": "/no/such/file"}
    assert packages.missing(wanted) == ["nonsense", "nowhere"]


VERSION_1 = """\
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""
VERSION_2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"


def test_control_groups_of_version_1_have_a_tree_for_each_controller() -> None:
    found = cgroups.hierarchies(VERSION_1)
    names = ("cpu,cpuacct", "memory", "unified")
    assert found == cgroups.Hierarchies(1, tuple(Path("/sys/fs/cgroup") / name for name in names))


def test_control_groups_of_version_2_have_one_tree() -> None:
    assert cgroups.hierarchies(VERSION_2) == cgroups.Hierarchies(2, (Path("/sys/fs/cgroup"),))


def test_a_machine_without_control_groups_is_told_apart() -> None:
    with pytest.raises(ClusterError, match="no control groups"):
        cgroups.hierarchies("proc /proc proc rw 0 0\n")


def test_clusters_of_the_same_name_in_two_caches_have_different_control_groups() -> None:
    assert cgroups.group_name(Path("/one/clusters/dev")) != cgroups.group_name(Path("/two/clusters/dev"))
