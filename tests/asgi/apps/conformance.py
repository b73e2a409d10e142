"""An ASGI application of routes that do one thing each; what happens is noted under the token `t` of a request."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Route = Callable[[Message, Receive, Send], Awaitable[None]]

ROUTES: dict[str, Route] = {}
EVENTS: dict[str, list[Any]] = collections.defaultdict(list)
GATES: dict[str, asyncio.Event] = {}
SEEN: contextvars.ContextVar[str] = contextvars.ContextVar("SEEN", default="nothing")
PLAIN = [(b"content-type", b"text/plain")]


def route(function: Route) -> Route:
    """Serve a function below its name."""
    ROUTES["/" + function.__name__] = function
    return function


def parameter(scope: Message, name: str, default: str = "") -> str:
    """The value of a parameter of the query."""
    found: list[str] = parse_qs(scope["query_string"].decode()).get(name, [default])
    return found[0]


def note(scope: Message, event: Any) -> None:
    """Remember an event."""
    EVENTS[parameter(scope, "t")].append(event)


def gate(scope: Message) -> asyncio.Event:
    """What opens when a test says so."""
    return GATES.setdefault(parameter(scope, "t"), asyncio.Event())


async def start(send: Send, status: int = 200, headers: Any = PLAIN) -> None:
    """Begin an answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def body(send: Send, content: bytes = b"", more: bool = False) -> None:
    """Go on with an answer."""
    await send({"type": "http.response.body", "body": content, "more_body": more})


async def answer(send: Send, content: bytes, **keywords: Any) -> None:
    """A whole answer."""
    await start(send, **keywords)
    await body(send, content)


@route
async def hello(_: Message, __: Receive, send: Send) -> None:
    """A greeting."""
    await answer(send, b"Hello, world!")


@route
async def events(scope: Message, _: Receive, send: Send) -> None:
    """What was noted."""
    await answer(send, json.dumps(EVENTS[parameter(scope, "t")]).encode())


@route
async def release(scope: Message, _: Receive, send: Send) -> None:
    """Open a gate."""
    gate(scope).set()
    await answer(send, b"")


@route
async def scope(scope: Message, _: Receive, send: Send) -> None:
    """The scope itself."""
    await answer(send, json.dumps(scope, default=lambda value: value.decode("latin-1")).encode())


@route
async def echo(_: Message, receive: Receive, send: Send) -> None:
    """Sends each piece back as it comes."""
    await start(send)
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await body(send, message.get("body", b""), more)


@route
async def collect(scope: Message, receive: Receive, send: Send) -> None:
    """Reads it all, and then asks once more."""
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    await answer(send, b"%d" % len(content))
    note(scope, (await receive())["type"])


@route
async def left(scope: Message, receive: Receive, send: Send) -> None:
    """Waits, twice at once, for its client to leave; then speaks to it."""
    await receive()
    note(scope, "waiting")
    waiting: list[asyncio.Task[Message]] = [asyncio.create_task(receive()) for _ in range(2)]  # type: ignore[arg-type]
    for message in await asyncio.gather(*waiting):
        note(scope, message["type"])
    try:
        await answer(send, b"nobody hears")
    except OSError:
        note(scope, "OSError")
    note(scope, asyncio.current_task().cancelling() if hasattr(asyncio.Task, "cancelling") else 0)  # type: ignore[union-attr]


@route
async def held(scope: Message, _: Receive, send: Send) -> None:
    """A head, and its body when it is told to."""
    await start(send)
    await gate(scope).wait()
    await body(send, b"held")


@route
async def waits(scope: Message, receive: Receive, send: Send) -> None:
    """Its content, then an answer when it is told to, unless its client leaves."""
    while (await receive()).get("more_body"):
        pass
    leaving = asyncio.ensure_future(receive())
    opened = asyncio.ensure_future(gate(scope).wait())
    await asyncio.wait({leaving, opened}, return_when=asyncio.FIRST_COMPLETED)
    if leaving.done():
        note(scope, leaving.result()["type"])
    opened.cancel()
    leaving.cancel()
    try:
        await answer(send, b"waited")
    except (OSError, RuntimeError) as error:
        note(scope, type(error).__name__)


@route
async def hints(scope: Message, _: Receive, send: Send) -> None:
    """Links ahead of the answer, where that is offered."""
    if "http.response.early_hint" in scope["extensions"]:
        links = [b"</style.css>; rel=preload; as=style", b"</a.js>; rel=preload; as=script"]
        await send({"type": "http.response.early_hint", "links": links})
        await asyncio.sleep(0.01)
    await answer(send, b"hinted")


@route
async def naps(scope: Message, _: Receive, send: Send) -> None:
    """A head, and its body after a while."""
    await start(send)
    await asyncio.sleep(float(parameter(scope, "seconds")))
    await body(send, b"napped")


@route
async def flood(scope: Message, _: Receive, send: Send) -> None:
    """64 MiB, counted as they leave."""
    await start(send)
    for number in range(1024):
        await body(send, b"x" * 65536, True)
        EVENTS[parameter(scope, "t")] = [number + 1]
    await body(send)


@route
async def ticking(scope: Message, _: Receive, send: Send) -> None:
    """Server-sent events without an end."""
    await start(send, headers=[(b"content-type", b"text/event-stream")])
    try:
        while True:
            await body(send, b"data: tick\n\n", True)
            await asyncio.sleep(0.02)
    except OSError:
        note(scope, "ended")


@route
async def framed(scope: Message, _: Receive, send: Send) -> None:
    """Content of one length, and a declared length."""
    status, pieces = int(parameter(scope, "status", "200")), int(parameter(scope, "pieces", "1"))
    declared = parameter(scope, "length")
    headers = [*PLAIN, (b"content-length", declared.encode())] if declared else PLAIN
    await start(send, status, headers)
    for number in range(pieces):
        await body(send, b"12345", number + 1 < pieces)


@route
async def raises(scope: Message, receive: Receive, send: Send) -> None:
    """Raises at some point."""
    kinds: dict[str, BaseException] = {
        "ValueError": ValueError("boom"),
        "SystemExit": SystemExit(3),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "CancelledError": asyncio.CancelledError(),
        "GeneratorExit": GeneratorExit(),
        "StopAsyncIteration": StopAsyncIteration(),
        "OSError": OSError("boom"),
    }
    what, when = kinds[parameter(scope, "what", "ValueError")], parameter(scope, "when", "called")
    if when == "called":
        raise what
    await receive()
    await start(send)
    if when == "started":
        raise what
    await body(send, b"part", True)
    if when == "amid":
        await asyncio.sleep(0)
        raise what
    await body(send, b"end")
    raise what


BAD: dict[str, list[Any]] = {
    "nothing": [],
    "no dict": [7],
    "no type": [{}],
    "unknown": [{"type": "http.response.unknown"}],
    "a websocket's": [{"type": "websocket.accept"}],
    "body first": [{"type": "http.response.body", "body": b"x"}],
    "no status": [{"type": "http.response.start"}],
    "status as text": [{"type": "http.response.start", "status": "200"}],
    "status 99": [{"type": "http.response.start", "status": 99}],
    "status 101": [{"type": "http.response.start", "status": 101}],
    "status 1000": [{"type": "http.response.start", "status": 1000}],
    "headers as text": [{"type": "http.response.start", "status": 200, "headers": [("a", "b")]}],
    "headers as one": [{"type": "http.response.start", "status": 200, "headers": [b"ab"]}],
    "a header of three": [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b", b"c")]}],
    "a line end": [{"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nsplit: 1")]}],
    "a NUL": [{"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\0")]}],
    "no name": [{"type": "http.response.start", "status": 200, "headers": [(b"x y", b"a")]}],
    "two lengths": [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")] * 2}
    ],
    "no length": [{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"-1")]}],
    "start twice": [{"type": "http.response.start", "status": 200, "headers": []}] * 2,
    "start alone": [{"type": "http.response.start", "status": 200, "headers": []}],
    "body as text": [
        {"type": "http.response.start", "status": 200, "headers": []},
        {"type": "http.response.body", "body": "text"},
    ],
}


@route
async def bad(scope: Message, _: Receive, send: Send) -> None:
    """Says what may not be said."""
    for message in BAD[parameter(scope, "case")]:
        await send(message)


@route
async def after(scope: Message, _: Receive, send: Send) -> None:
    """Goes on behind its end."""
    await answer(send, b"whole")
    for message in (
        {"type": "http.response.body", "body": b"x"},
        {"type": "http.response.start", "status": 200},
    ):
        try:
            await send(message)
        except RuntimeError:
            note(scope, "RuntimeError")


@route
async def spaced(_: Message, __: Receive, send: Send) -> None:
    """A header with space around its value."""
    await answer(send, b"spaced", headers=[(b"x-spaced", b" \t in space \t"), (b"x-empty", b" ")])


@route
async def context(scope: Message, _: Receive, send: Send) -> None:
    """What a context variable held, and is set to."""
    before = SEEN.get()
    SEEN.set(parameter(scope, "t"))
    await asyncio.sleep(0)
    task = asyncio.current_task()
    await answer(send, json.dumps([before, SEEN.get(), isinstance(task, asyncio.Task)]).encode())


@route
async def block(scope: Message, _: Receive, send: Send) -> None:
    """Blocks the loop."""
    print("the loop is blocked", file=sys.stderr, flush=True)
    time.sleep(float(parameter(scope, "seconds", "1")))  # noqa: ASYNC251
    await answer(send, b"blocked")


@route
async def background(scope: Message, _: Receive, send: Send) -> None:
    """Goes on when its answer is over."""
    await answer(send, b"answered")
    await gate(scope).wait()
    note(scope, "done")


@route
async def pathsend(scope: Message, _: Receive, send: Send) -> None:
    """A file by its name, perhaps a while behind the head, or what is no file."""
    kind = parameter(scope, "kind")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sent")
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            os.mkdir(path)
        elif kind != "missing":
            with open(path, "wb") as file:  # noqa: ASYNC230
                file.write(os.urandom(1024) * 3072)
        await start(send)
        if seconds := parameter(scope, "seconds"):
            await asyncio.sleep(float(seconds))
        await send({"type": "http.response.pathsend", "path": path})


async def websocket(scope: Message, receive: Receive, send: Send) -> None:
    """WebSockets: echo, and those that refuse or close."""
    path = scope["path"]
    assert await receive() == {"type": "websocket.connect"}
    if path == "/refuse":
        return await send({"type": "websocket.close"})
    if path == "/deny":
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"no")]})
        await send({"type": "websocket.http.response.body", "body": b"den", "more_body": True})
        return await send({"type": "websocket.http.response.body", "body": b"ied"})
    if path == "/raise":
        raise ValueError("boom")
    if path == "/silent":
        return None
    chosen = scope["subprotocols"][0] if scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": [(b"x-accepted", b"yes")]})
    if path == "/close":
        await send({"type": "websocket.close", "code": 3999, "reason": "ü" * 100})
        return note(scope, await receive())
    if path == "/flood":
        for _ in range(1024):
            await send({"type": "websocket.send", "bytes": b"x" * 65536})
            EVENTS[parameter(scope, "t")] = [_ + 1]
    while True:
        message = await receive()
        note(scope, {key: value for key, value in message.items() if key in ("type", "code", "reason")})
        if message["type"] == "websocket.disconnect":
            try:
                await send({"type": "websocket.send", "text": "nobody hears"})
            except OSError:
                note(scope, "OSError")
            return None
        if message.get("text") == "raise":
            raise ValueError("boom")
        if message.get("text") == "return":
            return None
        kind = "text" if message.get("text") is not None else "bytes"
        await send({"type": "websocket.send", kind: message[kind]})


async def lifespan(scope: Message, receive: Receive, send: Send) -> None:
    """Fails where the environment says so."""
    fault = os.environ.get("LIFESPAN", "")
    scope["state"]["list"] = []
    while True:
        message = await receive()
        phase = message["type"].rpartition(".")[2]
        if fault == f"{phase} raises":
            raise ValueError("boom in lifespan")
        if fault == f"{phase} fails":
            return await send({"type": f"lifespan.{phase}.failed", "message": "no database"})
        if fault == "raises while it serves" and phase == "startup":
            await send({"type": "lifespan.startup.complete"})
            raise ValueError("boom in lifespan")
        print(f"lifespan {phase}", file=sys.stderr, flush=True)
        await send({"type": f"lifespan.{phase}.complete"})
        if phase == "shutdown":
            return None


@route
async def state(scope: Message, _: Receive, send: Send) -> None:
    """What the lifespan left; each request has a copy."""
    seen = json.dumps([sorted(scope["state"]), scope["state"]["list"]])
    scope["state"]["own"] = 1
    scope["state"]["list"].append(1)
    await answer(send, seen.encode())


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """The application."""
    kind = scope["type"]
    if kind == "lifespan":
        return await lifespan(scope, receive, send)
    if kind == "websocket":
        return await websocket(scope, receive, send)
    path = scope["path"].removeprefix(scope["root_path"])
    found = ROUTES.get("/" + path.strip("/").partition("/")[0])
    if found is None:
        return await answer(send, b"", status=404)
    return await found(scope, receive, send)


def make() -> Route:
    """A factory."""
    return app
