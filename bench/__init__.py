"""salver beside its peers, measured in alternating rounds of one run: `python -m bench --help`, README.md."""
