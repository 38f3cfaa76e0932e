"""Certificates of a cluster, made with the openssl command; their authority lives as long as the cluster's folder."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .paths import ClusterError

_DAYS = "365"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A leaf certificate: file name without ending, subject, extended key usage, subject alternative names."""

    name: str
    subject: str
    usage: str
    names: tuple[str, ...] = ()


def extensions(certificate: Certificate) -> str:
    """The openssl extension file of a leaf.

    Python 3.13 verifies with ``VERIFY_X509_STRICT``, which wants what RFC 5280 asks for: both key identifiers in a
    leaf, the key usage in the authority.
    """
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        f"extendedKeyUsage={certificate.usage}",
        "subjectKeyIdentifier=hash",
        "authorityKeyIdentifier=keyid",
    ]
    if certificate.names:
        lines.append("subjectAltName=" + ",".join(certificate.names))
    return "\n".join(lines) + "\n"


def make(folder: Path, certificates: tuple[Certificate, ...]) -> None:
    """Fill `folder`: ``ca.crt``, ``ca.key``, a pair for each certificate, ``sa.key`` for service-account tokens."""
    if not shutil.which("openssl"):
        raise ClusterError("the command openssl is missing: install the package openssl")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    key_usage = "keyUsage=critical,keyCertSign,cRLSign"
    _openssl(folder, "req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", _DAYS,
             "-subj", "/CN=scheduledtask-test-cluster", "-addext", key_usage)  # fmt: skip
    _openssl(folder, "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "sa.key")
    for certificate in certificates:
        name = certificate.name
        (folder / f"{name}.ext").write_text(extensions(certificate))
        _openssl(
            folder, "req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", certificate.subject
        )
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                 "-days", _DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
