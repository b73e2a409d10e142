"""Certificates for tests, made by openssl."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from tests.support import Folder, require


def certificate(folder: Folder, name: str, *options: str, algorithm: str = "ec") -> Path:
    """A certificate for `name` and 127.0.0.1 that vouches for itself, and its key, in one file that the server may read."""
    kind = (
        ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        if algorithm == "ec"
        else ["-newkey", "rsa:2048"]
    )
    key, cert = folder.path / f"{name}.key", folder.path / f"{name}.crt"
    command = [require("openssl"), "req", "-x509", "-nodes", "-days", "30", *kind]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", f"/CN={name}"]
    command += ["-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", *options]
    subprocess.run(command, check=True, capture_output=True)
    return folder.write(f"{name}.pem", cert.read_bytes() + key.read_bytes())


def trusting(pem: Path) -> ssl.SSLContext:
    """A client that trusts the certificate of that file, and nobody else."""
    context = ssl.create_default_context()
    context.load_verify_locations(cadata=pem.read_text().split("-----BEGIN PRIVATE")[0])
    return context
