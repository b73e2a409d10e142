"""The applications of the rows about ASGI: `asynchronous:hello` also echoes on WebSockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY = b"Hello, world!"
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"13")],
}


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    """The least that an application can do."""
    if scope["type"] == "http":
        await send(START)
        await send({"type": "http.response.body", "body": BODY})
    elif scope["type"] == "websocket":
        await echoes(receive, send)
    else:
        raise RuntimeError("no lifespan")


async def echoes(receive: Receive, send: Send) -> None:
    """Every message comes back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """The body that was sent."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
