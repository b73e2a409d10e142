"""FastAPI: what its users use."""
# mypy: ignore-errors

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Request, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel

LOG: list[str] = []


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
    """Leaves something for requests."""
    yield {"from": "lifespan"}


app = FastAPI(title="site", lifespan=lifespan)


class Item(BaseModel):
    """What is posted."""

    name: str
    price: float


def resource() -> Iterator[str]:
    """A dependency that is given back."""
    LOG.append("taken")
    yield "resource"
    LOG.append("given back")


@app.get("/")
async def root(request: Request) -> dict[str, str]:
    """The state."""
    return {"state": request.state._state["from"]}


@app.post("/item")
async def item(posted: Item) -> Item:
    """Checked content."""
    return posted


@app.get("/depends")
async def depends(got: Annotated[str, Depends(resource)]) -> str:
    """A dependency with yield."""
    return got


@app.get("/sync")
def sync() -> str:
    """A view in the pool of threads."""
    return "from a thread"


@app.get("/background")
async def background(tasks: BackgroundTasks) -> str:
    """Something for later."""

    async def later() -> None:
        await asyncio.sleep(0.05)
        LOG.append("later")

    tasks.add_task(later)
    return "now"


@app.get("/log")
async def log() -> list[str]:
    """What happened."""
    return LOG


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, int | str | None]:
    """A file."""
    return {"name": file.filename, "size": len(await file.read())}


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Pieces."""

    async def pieces() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), media_type="text/plain")


@app.get("/file")
async def file() -> FileResponse:
    """A file of ours."""
    return FileResponse(__file__)


@app.get("/raise")
async def fails() -> None:
    """A fault."""
    raise RuntimeError("boom in fastapi")


@app.websocket("/ws")
async def ws(socket: WebSocket) -> None:
    """An echo."""
    await socket.accept()
    try:
        while True:
            await socket.send_json({"got": await socket.receive_text()})
    except WebSocketDisconnect as gone:
        LOG.append(f"closed {gone.code}")
