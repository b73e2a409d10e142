"""The listing page in a real browser."""
