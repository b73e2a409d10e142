"""Runs the suite, in an environment of its own with the client's parts (h2, hpack, hyperframe) and httpx."""

from tests import support
from tests.packages import within

within("http2", "h2==4.*", "httpx[http2]==0.28.*")
support.main("tests.http2", ["test_conformance", "test_attacks", "test_same", "test_clients", "test_idle"])
