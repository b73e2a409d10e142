"""Applications that `salver.serve` was given as objects: each an attribute, by which the command finds it."""
