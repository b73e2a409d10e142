"""Starlette, Django, Quart, Litestar and BlackSheep: a greeting, content, and a stream each."""
# mypy: ignore-errors

import asyncio
from collections.abc import AsyncIterator
from typing import Any


def starlette() -> Any:
    """Starlette with server-sent events."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response, StreamingResponse
    from starlette.routing import Route

    async def hello(_: Request) -> Response:
        return PlainTextResponse("Hello")

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    async def events(_: Request) -> Response:
        async def made() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.05)

        return StreamingResponse(made(), media_type="text/event-stream")

    routes = [Route("/", hello), Route("/echo", echo, methods=["POST"]), Route("/events", events)]
    return Starlette(routes=routes)


def django() -> Any:
    """Django's ASGI."""
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
    from django.urls import path

    async def hello(_: HttpRequest) -> HttpResponse:
        return HttpResponse("Hello")

    def echo(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.body)

    async def events(_: HttpRequest) -> StreamingHttpResponse:
        async def made() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.05)

        return StreamingHttpResponse(made(), content_type="text/event-stream")

    settings.configure(SECRET_KEY="k", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
    globals()["urlpatterns"] = [path("", hello), path("echo", echo), path("events", events)]
    return get_asgi_application()


def quart() -> Any:
    """Quart."""
    from quart import Quart, request

    app = Quart(__name__)

    @app.get("/")
    async def hello() -> str:
        return "Hello"

    @app.post("/echo")
    async def echo() -> bytes:
        return bytes(await request.get_data(as_text=False))

    @app.get("/events")
    async def events() -> Any:
        async def made() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"data: %d\n\n" % number
                await asyncio.sleep(0.05)

        return made(), {"Content-Type": "text/event-stream"}

    return app


def blacksheep() -> Any:
    """BlackSheep."""
    from blacksheep import Application, Content, Request, Response, StreamedContent, get, post

    app = Application()

    @get("/")
    async def hello() -> str:
        return "Hello"

    @post("/echo")
    async def echo(request: Request) -> Response:
        return Response(200, content=Content(b"application/octet-stream", await request.read()))

    @get("/events")
    async def events() -> Response:
        async def made() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"data: %d\n\n" % number
                await asyncio.sleep(0.05)

        return Response(200, content=StreamedContent(b"text/event-stream", made))

    return app


def litestar() -> Any:
    """Litestar."""
    from litestar import Litestar, Request, get, post
    from litestar.response import ServerSentEvent

    @get("/", media_type="text/plain")
    async def hello() -> str:
        return "Hello"

    @post("/echo", status_code=200, media_type="application/octet-stream")
    async def echo(request: Request[Any, Any, Any]) -> bytes:
        return await request.body()

    @get("/events")
    async def events() -> ServerSentEvent:
        async def made() -> AsyncIterator[str]:
            for number in range(3):
                yield str(number)
                await asyncio.sleep(0.05)

        return ServerSentEvent(made())

    return Litestar([hello, echo, events])
