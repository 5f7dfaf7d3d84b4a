"""Worlds with tasks, and agents that really act in them."""
