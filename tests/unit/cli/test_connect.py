"""What is said of kubeconfigs that lead nowhere. Clusters that say no are in tests/integration/test_cli.py."""

from pathlib import Path

import pytest

from scheduledtask.cli.cluster import Place, connect
from scheduledtask.cli.errors import CommandError

WHOLE = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me, namespace: mine}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {token: of-mine}}]
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no: kubeconfig",
        "just words",
        "a: [b",
        "[1, 2]",
        WHOLE.replace("current-context: here", ""),
        WHOLE.replace("current-context: here", "current-context: there"),
        WHOLE.replace("cluster: here, user", "cluster: there, user"),
        WHOLE.replace("contexts: [{name: here, context: {", "contexts: [{name: here, other: {"),
    ],
)
async def test_a_file_that_is_no_kubeconfig_is_told_with_what_to_set(text: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(CommandError, match="Set KUBECONFIG or --kubeconfig"):
        async with connect(Place(kubeconfig=path)):
            pass


@pytest.mark.parametrize("name", ["absent", "."])
async def test_so_is_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Set KUBECONFIG or --kubeconfig"):
        async with connect(Place(kubeconfig=tmp_path / name)):
            pass


@pytest.mark.parametrize(
    ("text", "option", "namespace"),
    [(WHOLE, None, "mine"), (WHOLE, "other", "other"), (WHOLE.replace(", namespace: mine", ""), None, "default")],
)
async def test_the_namespace_is_that_of_the_option_else_of_the_context_else_default(
    text: str, option: str | None, namespace: str, tmp_path: Path
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    async with connect(Place(kubeconfig=path, namespace=option)) as cluster:
        assert cluster.namespace == namespace
