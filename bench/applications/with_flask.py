"""Hello, by Flask: `with_flask:app`."""

# mypy: ignore-errors
# Flask is there where the bench runs, not where it is linted.

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    """Hello."""
    return "Hello, world!"
