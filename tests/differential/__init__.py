"""The same requests to `python3 -m http.server` and to salver: only the differences that `rules` names may show."""
