"""What a handler class of `http.server` needs to be called without its sockets.

A class whose `setup`, `handle`, `finish` and the like are those of `http.server` is called by way of a
subclass of the same name, which takes the parsed request in their place. Others read the request as it came.
"""

from __future__ import annotations

import email.utils
import functools
import http.server
import inspect
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from email._policybase import compat32
from http import HTTPStatus
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from socketserver import BaseRequestHandler, StreamRequestHandler
from typing import Any, Optional

#: What surrounds a request: who overrides one of them reads requests by themselves.
SURROUNDINGS = ("setup", "handle", "finish", "handle_one_request", "parse_request")
STOCK = (BaseHTTPRequestHandler, StreamRequestHandler, BaseRequestHandler)


def is_stock(cls: type, name: str) -> bool:
    """Whether a class has a method as `http.server` has it."""
    found = inspect.getattr_static(cls, name, None)
    return any(vars(base).get(name) is found for base in STOCK if name in vars(base))


def forks(called: Any) -> bool:
    """Whether a class gives the descriptor of its connection to a process, which it has none of here."""
    name = "CGIHTTPRequestHandler"  # deprecated, and gone in Python 3.15
    while isinstance(called, functools.partial):
        called = called.func
    return isinstance(called, type) and issubclass(called, getattr(http.server, name, ()))


def hosted(called: Any, own_log: bool = False) -> tuple[Callable[..., Any], bool]:
    """What is called for a request in a class's place, and whether it writes its own line into the log.

    The line is the class's own where it overrides `log_message` or `log_request`, or with `own_log`.
    """
    if isinstance(called, functools.partial):
        function, logs = hosted(called.func, own_log)
        return functools.partial(function, *called.args, **called.keywords), logs
    if not (isinstance(called, type) and issubclass(called, BaseHTTPRequestHandler)):
        return called, True
    logs = own_log or not (is_stock(called, "log_message") and is_stock(called, "log_request"))
    members: dict[str, Any] = {"__module__": called.__module__, "__qualname__": called.__qualname__}
    members["__doc__"] = called.__doc__
    if not logs:
        members["log_request"] = log_request
    if is_stock(called, "date_time_string"):
        members["date_time_string"] = date_time_string
    if all(is_stock(called, name) for name in SURROUNDINGS):
        members.update(DRESSED)
        if is_stock(called, "__init__"):
            members["__init__"] = start
        for names, method in QUICK:
            if all(is_stock(called, name) for name in names):
                members[names[0]] = method
    make: Any = type(called)
    return make(called.__name__, (called,), members), logs


class Made:
    """An attribute of a handler that is made of its request when it is first asked for."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, handler: Any, owner: Optional[type] = None) -> Any:
        if handler is None:
            raise AttributeError(self.name)
        made = handler.__dict__[self.name] = self.make(handler)
        return made


def message(handler: Any) -> Any:
    """The header section, without a parser of e-mail: it has been parsed."""
    fields = handler.connection.fields()
    kind = handler.MessageClass
    if kind is not HTTPMessage:
        made = kind()
        for name, value in fields:
            made.set_raw(name, value)
        return made
    made = HTTPMessage.__new__(HTTPMessage)
    made.__dict__ = {
        "policy": compat32,
        "_headers": fields,
        "_unixfrom": None,
        "_payload": "",
        "_charset": None,
        "preamble": None,
        "epilogue": None,
        "defects": [],
        "_default_type": "text/plain",
    }
    return made


def start(self: Any, request: Any, client_address: Any, server: Any) -> None:
    """What `BaseRequestHandler.__init__` does, in one step."""
    self.request = request
    self.client_address = client_address
    self.server = server
    handle(self)


def setup(self: Any) -> None:
    """There is nothing to set up."""


def handle(self: Any) -> None:
    """The one request (`handle_one_request`)."""
    self._headers_buffer = []
    keeps = self.protocol_version >= "HTTP/1.1"
    if self.request.dress(self, keeps) and not self.handle_expect_100():
        return
    method = getattr(self, "do_" + self.command, None)
    if method is None:
        self.send_error(HTTPStatus.NOT_IMPLEMENTED, f"Unsupported method ({self.command!r})")
        return
    try:
        method()
    except (TimeoutError, socket.timeout) as error:
        self.log_error("Request timed out: %r", error)
        self.close_connection = True


def finish(self: Any) -> None:
    """Nothing is buffered."""


def log_request(self: Any, code: Any = "-", size: Any = "-") -> None:
    """The server writes this line."""


@functools.lru_cache(maxsize=1)
def http_date(second: int) -> str:
    """A second since 1970 as a header has it."""
    return email.utils.formatdate(second, usegmt=True)


def date_time_string(self: Any, timestamp: Optional[float] = None) -> str:
    """As `http.server` has it, made once a second."""
    if timestamp is None:
        return http_date(int(time.time()))
    return email.utils.formatdate(timestamp, usegmt=True)


def send_response(self: Any, code: Any, message: Optional[str] = None) -> None:
    """As `http.server` has it: status line, Server and Date, here as one piece."""
    self.log_request(code)
    if message is None:
        known = self.responses.get(code)
        message = known[0] if known is not None else ""
    head = (
        f"{self.protocol_version} {code:d} {message}\r\n"
        f"Server: {self.version_string()}\r\nDate: {self.date_time_string()}\r\n"
    )
    self._headers_buffer.append(head.encode("latin-1", "strict"))


def send_header(self: Any, keyword: str, value: Any) -> None:
    """As `http.server` has it."""
    # By `!s`, as `%s` has it: members of enumerations would be formatted otherwise.
    self._headers_buffer.append(f"{keyword!s}: {value!s}\r\n".encode("latin-1", "strict"))
    if len(keyword) == 10 and keyword.lower() == "connection":
        if value.lower() == "close":
            self.close_connection = True
        elif value.lower() == "keep-alive":
            self.close_connection = False


def end_headers(self: Any) -> None:
    """As `http.server` has it: the head leaves."""
    head = self._headers_buffer
    head.append(b"\r\n")
    self._headers_buffer = []
    self.wfile.write(b"".join(head))


DRESSED: dict[str, Any] = {
    "setup": setup,
    "handle": handle,
    "finish": finish,
    "headers": Made(message),
    "requestline": Made(lambda handler: handler.connection.requestline()),
    "raw_requestline": Made(lambda handler: handler.connection.raw_requestline()),
    "rfile": Made(lambda handler: handler.connection.rfile()),
}


#: What is done quicker here, where it and what it would call are those of `http.server`.
QUICK: tuple[tuple[tuple[str, ...], Callable[..., Any]], ...] = (
    (("send_response", "send_response_only", "send_header"), send_response),
    (("send_header",), send_header),
    (("end_headers", "flush_headers"), end_headers),
)


class Server:
    """What a handler finds as `self.server` where salver is the server; attributes may be kept there."""

    timeout: Optional[float] = None
    socket_type = socket.SOCK_STREAM

    def __init__(self, server_address: tuple[Any, ...], called: Any) -> None:
        self.server_address = server_address
        self.server_port = server_address[1]
        self.address_family = socket.AF_INET6 if len(server_address) == 4 else socket.AF_INET
        self.RequestHandlerClass = called

    @functools.cached_property
    def server_name(self) -> str:
        """The full name of the address, looked up when it is asked for."""
        return socket.getfqdn(self.server_address[0])

    def shutdown(self) -> None:
        """Stop the server as SIGTERM does: running requests end."""
        os.kill(os.getpid(), signal.SIGTERM)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the exception that is being handled."""
        print(f"Exception occurred during processing of request from {client_address}", file=sys.stderr)
        sys.excepthook(*sys.exc_info())
