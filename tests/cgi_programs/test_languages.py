"""Scripts in the languages that people wrote them in."""

from __future__ import annotations

import os
import subprocess
import urllib.parse

from tests.cgi_programs.programs import Scripts, program
from tests.support import Answer, Server, python_for_user, require

PHP = """#!{php}
<?php
header('X-Language: PHP');
if (isset($_GET['away'])) {{ header('Location: /cgi-bin/form.php'); exit; }}
setcookie('a', 'b');
echo $_SERVER['REQUEST_METHOD'], ' ', $_POST['name'] ?? $_GET['name'] ?? 'nobody', ' ', $_SERVER['PATH_INFO'] ?? '', "\\n";
foreach ($_FILES as $file) echo $file['name'], ' ', $file['size'], "\\n";
"""

PERL = """#!/usr/bin/perl
use strict; use warnings; use CGI;
my $q = CGI->new;
if ($q->param('away')) { print $q->redirect('/cgi-bin/form.pl'); exit }
print $q->header(-type => 'text/plain', -charset => 'utf-8', -cookie => $q->cookie('a', 'b'), -X_Language => 'Perl');
print $q->request_method, ' ', scalar($q->param('name')) // 'nobody', ' ', $q->path_info, "\\n";
if (my $file = $q->upload('file')) { my $size = -s $file; print scalar($q->param('file')), " $size\\n" }
"""

PYTHON = """#!{python}
import os, sys, urllib.parse
length = int(os.environ.get("CONTENT_LENGTH") or 0)
form = urllib.parse.parse_qs(sys.stdin.read(length) or os.environ["QUERY_STRING"])
if "away" in form:
    print("Status: 302\\nLocation: /cgi-bin/form.py\\n")
    sys.exit()
print("Content-Type: text/plain\\nX-Language: Python\\nSet-Cookie: a=b\\n")
print(os.environ["REQUEST_METHOD"], form.get("name", ["nobody"])[0], os.environ["PATH_INFO"])
"""

SHELL = """#!/bin/sh
read=$(cat)
case $QUERY_STRING in away*) printf 'Status: 302\\nLocation: /cgi-bin/form.sh\\n\\n'; exit ;; esac
name=${read#name=} name=${name:-${QUERY_STRING#name=}}
printf 'Content-Type: text/plain\\nX-Language: sh\\nSet-Cookie: a=b\\n\\n'
echo "$REQUEST_METHOD ${name:-nobody} $PATH_INFO"
"""


class Languages(Scripts):
    """The same form in each."""

    def post(self, server: Server, path: str, content_type: str, body: bytes) -> Answer:
        """POST on a connection of its own."""
        with server.connect() as wire:
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\n"
            wire.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            return wire.answer("POST")

    def form(self, name: str, language: str, *options: str) -> Server:
        """Ask `name` in every way a form does."""
        server = self.serve("--cgi", *options)
        path = f"/cgi-bin/{name}"
        answer = server.get(f"{path}/x/y?name=Terry")
        self.assertEqual((answer.status, answer.body), (200, b"GET Terry /x/y\n"), server.log())
        self.assertEqual(answer.header("X-Language"), language)
        self.assertRegex(answer.header("Set-Cookie") or "", "^a=b")
        self.assertEqual(server.get(path).body.strip(), b"GET nobody")
        form = urllib.parse.urlencode({"name": "Terry"}).encode()
        answer = self.post(server, path, "application/x-www-form-urlencoded", form)
        self.assertEqual(answer.body.strip(), b"POST Terry", server.log())
        answer = server.get(f"{path}?away=1")
        self.assertEqual(
            (answer.status, answer.header("Location")), (302, path), "redirects of these are the client's"
        )
        return server

    def upload(self, server: Server, path: str) -> None:
        """A file of 3 MB in a form."""
        content = os.urandom(3_000_000)
        boundary = (
            "salver-c1e8f0a4d2b7"  # CGI.pm takes it for one wherever it stands: the content must not hold it
        )
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'.encode()
            + content
            + f"\r\n--{boundary}--\r\n".encode()
        )
        answer = self.post(server, path, f"multipart/form-data; boundary={boundary}", body)
        self.assertIn(b"a.bin 3000000\n", answer.body, server.log())

    def test_php(self) -> None:
        self.script("form.php", PHP.format(php=require("php-cgi")))
        # php-cgi wants to be told that it was not asked for by itself; 3 MB is more than its default for a file.
        server = self.form(
            "form.php", "PHP", "-e", "REDIRECT_STATUS=200", "-e", f"PHP_INI_SCAN_DIR={self.folder.path}"
        )
        self.folder.write("upload.ini", "upload_max_filesize=8M\n")
        self.upload(server, "/cgi-bin/form.php")

    def test_perl(self) -> None:
        if (
            subprocess.run([require("perl"), "-MCGI", "-e", "1"], check=False, capture_output=True).returncode
            != 0
        ):
            program("/usr/share/perl5/CGI.pm", "libcgi-pm-perl")
        self.script("form.pl", PERL)
        self.upload(self.form("form.pl", "Perl"), "/cgi-bin/form.pl")

    def test_python(self) -> None:
        self.script("form.py", PYTHON.format(python=python_for_user()))
        self.form("form.py", "Python")

    def test_shell(self) -> None:
        self.script("form.sh", SHELL)
        self.form("form.sh", "sh")
