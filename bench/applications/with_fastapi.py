"""JSON, by FastAPI: `with_fastapi:app`."""

# mypy: ignore-errors
# FastAPI is there where the bench runs, not where it is linted.

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello():
    """Hello."""
    return {"message": "Hello, world!", "numbers": [1, 2, 3]}
