"""WsgiDAV, on the folder that `FOLDER` names."""

# mypy: ignore-errors

import os

from wsgidav.wsgidav_app import WsgiDAVApp

app = WsgiDAVApp(
    {
        "provider_mapping": {"/": os.environ["FOLDER"]},
        "simple_dc": {"user_mapping": {"*": True}},
        "verbose": 1,
        "http_authenticator": {"domain_controller": None},
    }
)
