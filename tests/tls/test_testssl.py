"""testssl.sh finds nothing of medium severity or worse."""

from __future__ import annotations

import json
import subprocess

from tests.certificates import certificate
from tests.support import Case, Folder, require

# BREACH takes a page with a secret beside something the attacker chose; a listing that is compressed has neither.
NO_SECRET = ("BREACH",)
# Of a certificate that vouches for itself, and of a test host without a name in DNS.
OF_THE_TEST = (
    "cert_trust",
    "cert_chain_of_trust",
    "cert_caIssuers",
    "cert_revocation",
    "cert_crlDistributionPoints",
    "cert_ocspURL",
    "OCSP_stapling",
    "DNS_CAArecord",
    "cert_expirationStatus",
    "cert_notAfter",
    "cert_extlifeSpan",
    "cert_validityPeriod",
    "scanTime",
    "overall_grade",
    "grade_cap_reason",
)


class Testssl(Case):
    """The protocol, suites, and faults with names."""

    def test_nothing_of_medium_severity(self) -> None:
        keys = Folder()
        self.addCleanup(keys.remove)
        pem = certificate(keys, "localhost")
        server = self.serve("--tls-cert", str(pem), "--hsts", "--access-log", "off")
        found = self.folder.path / "testssl.json"
        command = [
            require("testssl", "testssl.sh"),
            "--quiet",
            "--color",
            "0",
            "--warnings",
            "off",
            "--nodns",
            "none",
        ]
        command += [
            "-p",
            "-s",
            "-f",
            "-U",
            "-S",
            "--fast",
            "--jsonfile",
            str(found),
            f"localhost:{server.port}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        findings = json.loads(found.read_text())
        self.assertGreater(len(findings), 30, done.stdout[-2000:])
        bad = [
            f"{finding['id']}: {finding['severity']} {finding['finding']}"
            for finding in findings
            if finding["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")
            and not finding["id"].startswith((*OF_THE_TEST, *NO_SECRET))
        ]
        print(f"{len(findings)} findings, {len(bad)} of medium severity or worse", flush=True)
        self.assertEqual(bad, [])
