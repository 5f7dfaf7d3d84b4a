"""A viewer of journals in a browser, read-only."""
