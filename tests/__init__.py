"""Black-box tests: the real `salver` binary, real clients, and oracles that are not ours."""
