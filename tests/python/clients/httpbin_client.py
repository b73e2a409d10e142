"""requests against httpbin: `python httpbin_client.py URL`."""

# mypy: ignore-errors

import gzip
import hashlib
import json
import os
import sys

import requests

url = sys.argv[1]
with requests.Session() as session:

    def ask(method, path, status=200, **keywords):
        """An answer with the status that is due."""
        answer = session.request(method, url + path, timeout=30, **keywords)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text[:200])
        return answer

    for method in ("GET", "DELETE", "PATCH", "POST", "PUT"):
        seen = ask(
            method, "/anything/a%20b//c?x=1&x=2&y=%C3%A9", data=b"raw" if method != "GET" else None
        ).json()
        assert seen["method"] == method
        assert seen["args"] == {"x": ["1", "2"], "y": "é"}, seen
        assert seen["url"].startswith(url + "/anything/"), seen["url"]
    form = ask("POST", "/post", data={"a": "1", "b": "ü"}, files={"file": ("name.txt", b"content")}).json()
    assert (form["form"], form["files"]) == ({"a": "1", "b": "ü"}, {"file": "content"})
    assert ask("POST", "/post", json={"k": [1, 2]}).json()["json"] == {"k": [1, 2]}
    large = os.urandom(3_000_000)
    sent = ask("POST", "/post", data=large, headers={"Content-Type": "application/octet-stream"}).json()[
        "data"
    ]
    assert len(sent) > len(large)
    for status in (201, 204, 304, 400, 404, 418, 500, 503):
        ask("GET", f"/status/{status}", status)
    assert ask("HEAD", "/get").content == b""
    assert (
        ask("GET", "/headers", headers={"X-Test": "ä".encode("latin-1")}).json()["headers"]["X-Test"] == "ä"
    )
    ask("GET", "/cookies/set?one=1&two=2")
    assert ask("GET", "/cookies").json()["cookies"] == {"one": "1", "two": "2"}
    ask("GET", "/basic-auth/me/secret", 401)
    assert ask("GET", "/basic-auth/me/secret", auth=("me", "secret")).json()["authenticated"]
    digest = requests.auth.HTTPDigestAuth("me", "secret")
    assert ask("GET", "/digest-auth/auth/me/secret", auth=digest).json()["authenticated"]
    assert ask("GET", "/redirect/4").url == url + "/get"
    assert ask("GET", "/absolute-redirect/2").url == url + "/get"
    assert ask("GET", "/gzip").json()["gzipped"]
    assert ask("GET", "/deflate").json()["deflated"]
    lines = [json.loads(line) for line in ask("GET", "/stream/20", stream=True).iter_lines()]
    assert [line["id"] for line in lines] == list(range(20))
    streamed = ask("GET", "/stream-bytes/100000?seed=1&chunk_size=1000", stream=True)
    assert len(b"".join(streamed.iter_content(999))) == 100_000
    assert len(ask("GET", "/bytes/50000?seed=2").content) == 50_000
    assert len(ask("GET", "/drip?numbytes=5&duration=1&delay=0").content) == 5
    part = ask("GET", "/range/1000", 206, headers={"Range": "bytes=10-19"})
    assert (len(part.content), part.headers["Content-Range"]) == (10, "bytes 10-19/1000")
    assert ask("GET", "/etag/abc", headers={"If-None-Match": '"abc"'}, status=304).content == b""
    assert ask("GET", "/response-headers?X-One=1&X-One=2").headers["X-One"].replace(" ", "") == "1,2"
    assert hashlib.md5(ask("GET", "/image/png").content).hexdigest()
    assert ask("GET", "/encoding/utf8").content.decode().count("∮") > 0
    assert ask("GET", "/ip").json()["origin"] == "127.0.0.1"
    assert gzip.compress(b"") and ask("GET", "/delay/1").json()["url"] == url + "/delay/1"
print("all of httpbin")
