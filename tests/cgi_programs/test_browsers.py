"""gitweb and cgit: a real repository in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import chromium
from tests.cgi_programs.programs import Scripts, program

GITWEB = "/usr/share/gitweb/gitweb.cgi"
CGIT = "/usr/lib/cgit/cgit.cgi"
BROWSE = Path(__file__).with_name("browse.mjs")


class Browsers(Scripts):
    """Each is opened at its list of projects and clicked through to a difference."""

    def browse(self, url: str, *links: str) -> list[dict[str, str]]:
        """The pages that Chromium sees; everything they load is there."""
        seen: dict[str, Any] = json.loads(chromium.run(BROWSE, url, *links))
        failed = [load for load in seen["loaded"] if load[0] != 200 and load[1] != "/favicon.ico"]
        self.assertEqual(failed, [])
        self.assertTrue(any(path.endswith(".css") for _, path in seen["loaded"]), seen["loaded"])
        # A difference is shown with spaces that do not break.
        return [{name: text.replace("\xa0", " ") for name, text in page.items()} for page in seen["pages"]]

    def test_gitweb(self) -> None:
        bare = self.project()
        configuration = self.folder.write(
            "gitweb.conf",
            f'our $projectroot = "{bare.parent}";\nour @stylesheets = ("/static/gitweb.css");\n'
            'our $javascript = "/static/gitweb.js";\nour $logo = "/static/git-logo.png";\n'
            'our $favicon = "/static/git-favicon.png";\n$feature{"pathinfo"}{"default"} = [1];\n',
        )
        self.script("gitweb", f"#!/bin/sh\nexec {program(GITWEB, 'gitweb')}\n")
        static = f"--mount=/static={Path(GITWEB).parent}/static"
        server = self.serve("--cgi", static, "-e", f"GITWEB_CONFIG={configuration}")
        pages = self.browse(f"{server.url}/cgi-bin/gitweb", "demo.git", "commitdiff")
        self.assertIn("demo.git", pages[0]["text"])
        self.assertIn("number 2", pages[1]["text"])
        self.assertIn("+version 2 of a <demo> & more", pages[2]["text"])

    def test_cgit(self) -> None:
        bare = self.project()
        configuration = self.folder.write(
            "cgitrc",
            "css=/static/cgit.css\nlogo=/static/cgit.png\nfavicon=/static/favicon.ico\n"
            f"virtual-root=/cgi-bin/cgit\nscan-path={bare.parent}\n",
        )
        self.script("cgit", f"#!/bin/sh\nexec {program(CGIT, 'cgit')}\n")
        server = self.serve("--cgi", "--mount=/static=/usr/share/cgit", "-e", f"CGIT_CONFIG={configuration}")
        pages = self.browse(f"{server.url}/cgi-bin/cgit", "demo", "number 2")
        self.assertIn("demo.git", pages[0]["text"])
        self.assertIn("number 1", pages[1]["text"])
        self.assertIn("+version 2 of a <demo> & more", pages[2]["text"])
