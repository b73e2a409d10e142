"""CPython's own tests of `http.server`, unchanged, with the binary in place of the server they start.

`__main__` finds every interpreter at hand that ships `test.test_httpservers` and runs `adapted` with each.
"""
