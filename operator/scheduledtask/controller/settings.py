"""How the operator is started: command line options, each with an environment variable."""

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scheduledtask.api.spec_rules import URL
from scheduledtask.domain.delivery import SecretError, read_secrets

LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")
SWITCH = {"true": True, "1": True, "false": False, "0": False, "": False}


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Which Lease is held, and under which name; None for one made up at the start."""

    namespace: str
    name: str
    identity: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """`namespace` is the one namespace that is watched, or None for all."""

    namespace: str | None
    log_format: str
    log_level: str
    listen_port: int
    workers: int
    webhook_allow_internal: bool = False
    default_webhook_url: str | None = None
    default_webhook_keys: tuple[bytes, ...] = field(default=(), repr=False)
    lease: LeaseSettings | None = None
    """None: this is the only operator, and works at once."""


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line; an option that is absent is taken from its environment variable."""
    parser = argparse.ArgumentParser(
        prog="scheduledtask-operator",
        description="Turns ScheduledTasks into CronJobs and keeps the account of their runs. "
        "Finds the API server by KUBECONFIG or, in a pod, by the service account.",
        epilog="While it runs: GET /healthz (are the watches alive?), /readyz (is everything listed?), /metrics.",
    )
    environment = os.environ.get
    parser.add_argument(
        "--namespace",
        default=environment("WATCH_NAMESPACE", ""),
        help="watch this namespace only; default: all (WATCH_NAMESPACE)",
    )
    parser.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default=environment("LOG_FORMAT", "text"),
        help="form of the log lines; default: text (LOG_FORMAT)",
    )
    parser.add_argument(
        "--log-level",
        choices=LOG_LEVELS,
        default=environment("LOG_LEVEL", "info"),
        help="the least important lines that are logged; default: info (LOG_LEVEL)",
    )
    parser.add_argument(
        "--listen-port",
        type=int,
        default=environment("LISTEN_PORT", "8080"),
        help="port of the probes and metrics, 0 for any free one; default: 8080 (LISTEN_PORT)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=environment("WORKERS", "8"),
        help="how many tasks are worked on at the same time; default: 8 (WORKERS)",
    )
    parser.add_argument(
        "--webhook-allow-internal",
        action="store_const",
        const="true",
        default=environment("WEBHOOK_ALLOW_INTERNAL", "false").lower(),
        help="let tasks name webhooks inside the cluster and its network: loopback, private and link-local addresses; "
        "default: false (WEBHOOK_ALLOW_INTERNAL)",
    )
    parser.add_argument(
        "--default-webhook-url",
        default=environment("DEFAULT_WEBHOOK_URL", ""),
        help="where failures and recoveries of tasks without alerts.webhook are told; any address; "
        "default: nowhere (DEFAULT_WEBHOOK_URL)",
    )
    parser.add_argument(
        "--default-webhook-secret-file",
        default=environment("DEFAULT_WEBHOOK_SECRET_FILE", ""),
        help="file with the key that signs them, whsec_…, read at the start; default: not signed "
        "(DEFAULT_WEBHOOK_SECRET_FILE)",
    )
    parser.add_argument(
        "--leader-elect",
        action="store_const",
        const="true",
        default=environment("LEADER_ELECT", "false").lower(),
        help="work only while holding a Lease, so that several operators can stand by for each other; "
        "default: false (LEADER_ELECT)",
    )
    parser.add_argument(
        "--lease-namespace",
        default=environment("POD_NAMESPACE", ""),
        help="where that Lease is; needed for --leader-elect (POD_NAMESPACE)",
    )
    parser.add_argument(
        "--lease-name",
        default=environment("LEASE_NAME", "scheduledtask-operator"),
        help="its name; default: scheduledtask-operator (LEASE_NAME)",
    )
    parser.add_argument(
        "--identity",
        default=environment("POD_NAME", ""),
        help="who holds it, a name that no other process has at the same time; default: the host's name and a random "
        "suffix (POD_NAME)",
    )
    options = parser.parse_args(arguments)
    # argparse checks what is given on the command line, not what comes from the environment.
    if options.log_format not in LOG_FORMATS:
        parser.error(f"--log-format is {options.log_format!r}: choose from {', '.join(LOG_FORMATS)}")
    if options.log_level not in LOG_LEVELS:
        parser.error(f"--log-level is {options.log_level!r}: choose from {', '.join(LOG_LEVELS)}")
    if not 0 <= options.listen_port <= 65535:
        parser.error(f"--listen-port is {options.listen_port}: it must be from 0 to 65535")
    if options.workers < 1:
        parser.error(f"--workers is {options.workers}: at least 1 is needed")
    if options.webhook_allow_internal not in SWITCH:
        parser.error(f"WEBHOOK_ALLOW_INTERNAL is {options.webhook_allow_internal!r}: write true or false")
    if options.leader_elect not in SWITCH:
        parser.error(f"LEADER_ELECT is {options.leader_elect!r}: write true or false")
    lease = None
    if SWITCH[options.leader_elect]:
        if not (options.lease_namespace and options.lease_name):
            parser.error("--leader-elect needs --lease-namespace (POD_NAMESPACE) and --lease-name: where its Lease is")
        lease = LeaseSettings(options.lease_namespace, options.lease_name, options.identity or None)
    url, file = options.default_webhook_url, options.default_webhook_secret_file
    if url and not re.fullmatch(URL, url):
        parser.error("--default-webhook-url is no address: write one with http:// or https:// and a host")
    try:
        keys = read_secrets(Path(file).read_text()) if file else ()
    except (OSError, UnicodeError, SecretError) as error:
        parser.error(f"--default-webhook-secret-file {file}: {error}")
    return Settings(
        namespace=options.namespace or None,
        log_format=options.log_format,
        log_level=options.log_level,
        listen_port=options.listen_port,
        workers=options.workers,
        webhook_allow_internal=SWITCH[options.webhook_allow_internal],
        default_webhook_url=url or None,
        default_webhook_keys=keys,
        lease=lease,
    )
