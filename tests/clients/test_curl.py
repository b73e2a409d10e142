"""curl: resume, ranges, compression, HEAD, upload refused."""

from __future__ import annotations

import random
import re

from tests.support import Case, curl


class Curl(Case):
    """Each test calls curl once or twice and looks at what it wrote."""

    def setUp(self) -> None:
        super().setUp()
        self.content = random.Random(2).randbytes(300_000)
        self.folder.write("file.bin", self.content)
        self.folder.write("text.txt", "the same line again\n" * 1000)
        self.server = self.serve()

    def curl(self, path: str, *options: str) -> bytes:
        """What curl writes to standard output."""
        return curl(self.server.url + path, *options)

    def test_resume_of_half_a_file(self) -> None:
        half = self.folder.write("half.bin", self.content[:150_000])
        status = self.curl("/file.bin", "-C", "-", "-o", str(half), "-w", "%{http_code} %{size_download}")
        self.assertEqual(status, b"206 150000")
        self.assertEqual(half.read_bytes(), self.content)

    def test_one_range(self) -> None:
        self.assertEqual(self.curl("/file.bin", "--range", "100-199"), self.content[100:200])
        self.assertEqual(self.curl("/file.bin", "--range", "-7"), self.content[-7:])
        self.assertEqual(self.curl("/file.bin", "--range", "299990-"), self.content[299_990:])

    def test_several_ranges(self) -> None:
        reply = self.curl("/file.bin", "--include", "--range", "0-9,100-109,-5")
        head, _, body = reply.partition(b"\r\n\r\n")
        boundary = re.search(rb"(?i)content-type: multipart/byteranges; boundary=\"?([^\"\r\n]+)", head)
        assert boundary is not None, head
        parts = body.split(b"--" + boundary[1])
        self.assertEqual(parts[-1].strip(), b"--")
        contents = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
        self.assertEqual(contents, [self.content[:10], self.content[100:110], self.content[-5:]])

    def test_compressed(self) -> None:
        plain = self.curl("/text.txt")
        reply = self.curl("/text.txt", "--compressed", "--include")
        head, _, body = reply.partition(b"\r\n\r\n")
        self.assertRegex(head.lower(), rb"\r\ncontent-encoding: (gzip|br|zstd)")
        self.assertEqual(body, plain)

    def test_head(self) -> None:
        head = self.curl("/file.bin", "--head")
        self.assertRegex(head, rb"^HTTP/1.1 200 OK\r\n")
        self.assertRegex(head.lower(), rb"\r\ncontent-length: 300000\r\n")

    def test_upload_is_refused(self) -> None:
        upload = self.folder.write("upload", "x" * 200_000)
        reply = self.curl("/file.bin", "-T", str(upload), "-o", "-", "-w", "\n%{http_code} %header{allow}")
        self.assertRegex(reply.splitlines()[-1], b"^405 .*GET")
        self.assertEqual((self.folder.path / "file.bin").read_bytes(), self.content)

    def test_connection_is_kept(self) -> None:
        again = f"{self.server.url}/text.txt"
        connects = self.curl(
            "/text.txt", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", again
        )
        self.assertEqual(connects, b"1 0 ")
