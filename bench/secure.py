"""HTTPS: servers with the same certificate (ECDSA P-256), and `openssl s_time`, which counts handshakes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.client import HOST, Failed
from bench.others import caddy, h2o
from bench.servers import Place, Port, Server, nginx, salver


@dataclass(frozen=True)
class Keys:
    """A certificate for 127.0.0.1 and its key."""

    certificate: Path
    key: Path


def keys(place: Place) -> Keys:
    """Made once, beside the folder that is served: all servers of a run have the same."""
    made = Keys(place.root.parent / "tls.crt", place.root.parent / "tls.key")
    if not made.key.exists():
        command = [
            "openssl",
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]
        command += [
            "-days",
            "365",
            "-subj",
            "/CN=localhost",
            "-addext",
            f"subjectAltName=IP:{HOST},DNS:localhost",
        ]
        command += ["-out", str(made.certificate), "-keyout", str(made.key)]
        subprocess.run(command, check=True, capture_output=True)
        made.key.chmod(0o644)  # servers that become somebody else read it
    return made


def salver_tls(place: Place) -> list[str]:
    """salver with the certificate."""
    own = keys(place)
    return [*salver(place), "--tls-cert", str(own.certificate), "--tls-key", str(own.key)]


def nginx_tls(place: Place) -> list[str]:
    """The same nginx with `ssl` and `http2`, and session tickets as it has them."""
    own, command = keys(place), nginx(place)
    secure = f"listen {HOST}:{place.port} ssl http2;\n    ssl_protocols TLSv1.2 TLSv1.3;\n"
    secure += f"    ssl_certificate {own.certificate};\n    ssl_certificate_key {own.key};\n"
    secure += "    http2_max_requests 1000000000;"
    rewrite(place.scratch / "nginx.conf", f"listen {HOST}:{place.port};", secure)
    return command


def caddy_tls(place: Place) -> list[str]:
    """The same caddy with the certificate."""
    own, command = keys(place), caddy(place)
    plain = f"http://{HOST}:{place.port} {{\n"
    secure = f"https://{HOST}:{place.port}, https://localhost:{place.port} {{\n"
    secure += f"  tls {own.certificate} {own.key}\n"
    rewrite(place.scratch / "Caddyfile", plain, secure)
    return command


def h2o_tls(place: Place) -> list[str]:
    """The same h2o with the certificate."""
    own, command = keys(place), h2o(place)
    plain = f"  port: {place.port}\n"
    secure = f"""{plain}  ssl:
    certificate-file: {own.certificate}
    key-file: {own.key}
    minimum-version: TLSv1.2
    ocsp-update-interval: 0
"""
    rewrite(place.scratch / "h2o.yaml", plain, secure)
    return command


def rewrite(configuration: Path, plain: str, secure: str) -> None:
    """Put one part of a configuration in the place of another."""
    text = configuration.read_text()
    if plain not in text:
        raise ValueError(f"{configuration} does not say {plain!r}")
    configuration.write_text(text.replace(plain, secure))


SERVERS = (
    Server("salver-tls", "salver", salver_tls, Port.PRINTED),
    Server("nginx-tls", "nginx", nginx_tls),
    Server("caddy-tls", "caddy", caddy_tls),
    Server("h2o-tls", "h2o", h2o_tls),
)
NAMES = tuple(server.name for server in SERVERS)


def handshakes(programs: Mapping[str, str], port: int, seconds: int) -> tuple[int, float]:
    """Whole TLS 1.3 handshakes, one after the other: how many in how many seconds."""
    command = [
        programs["openssl"],
        "s_time",
        "-connect",
        f"{HOST}:{port}",
        "-new",
        "-tls1_3",
        "-time",
        str(seconds),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 5 + 10, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed("openssl s_time did not end") from error
    found = re.findall(r"(\d+) connections in (\d+) real seconds", done.stdout)
    if not found or int(found[0][0]) == 0:
        raise Failed(f"openssl s_time counted no handshakes: {(done.stderr or done.stdout).strip()[-200:]}")
    return int(found[0][0]), float(found[0][1])
