"""How the operator is started: options, their environment variables, and what is refused."""

import base64
from pathlib import Path

import pytest

from scheduledtask.controller.settings import LeaseSettings, Settings, read_settings

VARIABLES = ("WATCH_NAMESPACE", "LOG_FORMAT", "LOG_LEVEL", "LISTEN_PORT", "WORKERS")
OF_WEBHOOKS = ("WEBHOOK_ALLOW_INTERNAL", "DEFAULT_WEBHOOK_URL", "DEFAULT_WEBHOOK_SECRET_FILE")
OF_ELECTION = ("LEADER_ELECT", "POD_NAMESPACE", "LEASE_NAME", "POD_NAME")
KEY = b"k" * 24
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
DEFAULTS = Settings(namespace=None, log_format="text", log_level="info", listen_port=8080, workers=8)


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *OF_WEBHOOKS, *OF_ELECTION):
        monkeypatch.delenv(name, raising=False)


def test_without_options_there_are_defaults() -> None:
    assert read_settings([]) == DEFAULTS


def test_options_are_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("mining", "json", "debug", "0", "2"), strict=True):
        monkeypatch.setenv(name, value)
    assert read_settings([]) == Settings("mining", "json", "debug", 0, 2)


@pytest.mark.parametrize(
    ("text", "allowed"), [("true", True), ("1", True), ("False", False), ("0", False), ("", False)]
)
def test_whether_webhooks_may_be_internal_is_a_switch(
    text: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_settings(["--webhook-allow-internal"]).webhook_allow_internal is True
    monkeypatch.setenv("WEBHOOK_ALLOW_INTERNAL", text)
    assert read_settings([]).webhook_allow_internal is allowed


def test_the_default_webhook_is_an_address_and_a_file_with_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    monkeypatch.setenv("DEFAULT_WEBHOOK_URL", "http://alerts.monitoring:8080/hook")
    settings = read_settings(["--default-webhook-secret-file", str(file)])
    assert settings.default_webhook_url == "http://alerts.monitoring:8080/hook"
    assert settings.default_webhook_keys == (KEY,)
    assert str(KEY) not in repr(settings)


def test_an_election_is_about_one_lease_and_a_pod_s_name_is_its_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "system")
    assert read_settings([]).lease is None
    assert read_settings(["--leader-elect"]).lease == LeaseSettings("system", "scheduledtask-operator", None)
    for name, value in zip(OF_ELECTION, ("true", "other", "mine", "operator-1"), strict=True):
        monkeypatch.setenv(name, value)
    assert read_settings([]).lease == LeaseSettings("other", "mine", "operator-1")


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", "2")
    monkeypatch.setenv("WATCH_NAMESPACE", "mining")
    assert read_settings(["--workers", "3", "--namespace", ""]).workers == 3
    assert read_settings(["--namespace", ""]).namespace is None


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--log-format", "xml"], {}, ["--log-format", "xml", "json"]),
        ([], {"LOG_FORMAT": "xml"}, ["--log-format", "xml", "json"]),
        ([], {"LOG_LEVEL": "verbose"}, ["--log-level", "verbose", "debug"]),
        ([], {"LISTEN_PORT": "tcp://10.0.0.1:80"}, ["--listen-port", "tcp://10.0.0.1:80"]),
        (["--listen-port", "70000"], {}, ["--listen-port", "70000", "65535"]),
        (["--listen-port", "-1"], {}, ["--listen-port", "-1"]),
        (["--workers", "0"], {}, ["--workers", "0"]),
        ([], {"WORKERS": "many"}, ["--workers", "many"]),
        ([], {"WEBHOOK_ALLOW_INTERNAL": "perhaps"}, ["WEBHOOK_ALLOW_INTERNAL", "perhaps", "true or false"]),
        (["--default-webhook-url", "hooks.example"], {}, ["--default-webhook-url", "https://"]),
        (["--default-webhook-secret-file", "/dev/null"], {}, ["--default-webhook-secret-file", "empty", "whsec_"]),
        ([], {"LEADER_ELECT": "perhaps"}, ["LEADER_ELECT", "perhaps", "true or false"]),
        (["--leader-elect"], {}, ["--leader-elect", "--lease-namespace", "POD_NAMESPACE"]),
        (["--leader-elect", "--lease-name="], {"POD_NAMESPACE": "system"}, ["--lease-name"]),
        ([], {"DEFAULT_WEBHOOK_SECRET_FILE": "/nowhere"}, ["/nowhere", "No such file"]),
    ],
)
def test_a_mistake_is_told_with_the_option_and_its_value(
    arguments: list[str],
    environment: dict[str, str],
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        read_settings(arguments)
    assert ended.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    for word in words:
        assert word in message


def test_help_names_every_option_its_default_and_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings(["--help"])
    text = capsys.readouterr().out
    for word in (*VARIABLES, *OF_WEBHOOKS, *OF_ELECTION, "KUBECONFIG", "/healthz", "/readyz", "/metrics", "8080"):
        assert word in text
