"""Python applications hosted: WSGI and handler classes, on every CPython at hand."""
