"""webdavclient3 against WsgiDAV: `python dav_client.py URL FOLDER`."""

# mypy: ignore-errors

import filecmp
import os
import sys
from pathlib import Path

from webdav3.client import Client

url, here = sys.argv[1], Path(sys.argv[2])
client = Client({"webdav_hostname": url, "webdav_login": "any", "webdav_password": "any"})
large = here / "large.bin"
large.write_bytes(os.urandom(5_000_000))
tree = here / "tree" / "below"
tree.mkdir(parents=True)
(tree / "leaf é.txt").write_text("leaf")

assert client.list() in ([], ["/"]), client.list()
client.mkdir("folder")
client.upload_sync(remote_path="folder/large.bin", local_path=str(large))
assert client.check("folder/large.bin")
assert not client.check("folder/none")
assert client.info("folder/large.bin")["size"] == "5000000"
client.download_sync(remote_path="folder/large.bin", local_path=str(here / "back.bin"))
assert filecmp.cmp(large, here / "back.bin", shallow=False)
client.copy("folder/large.bin", "folder/copy.bin")
client.move("folder/large.bin", "folder/moved.bin")
assert sorted(client.list("folder")[-2:]) == ["copy.bin", "moved.bin"], client.list("folder")
client.upload_sync(remote_path="tree", local_path=str(here / "tree"))
assert "leaf é.txt" in client.list("tree/below"), client.list("tree/below")
client.clean("folder")
assert not client.check("folder")
print("all of WebDAV")
