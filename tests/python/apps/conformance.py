"""Everything that the tests of WSGI ask: `conformance:app`."""

import answering  # noqa: F401
import failing  # noqa: F401
import filing  # noqa: F401
import receiving  # noqa: F401
from routes import app

__all__ = ["app"]
