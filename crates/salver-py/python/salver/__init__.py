"""salver: the web server you type first and deploy last."""

from salver._salver import __version__

__all__ = ["__version__"]
