"""salver: the web server you type first and deploy last."""

from salver._salver import __version__
from salver._serve import serve

__all__ = ["__version__", "serve"]
