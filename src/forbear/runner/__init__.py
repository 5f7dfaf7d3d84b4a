"""Experiment time: one loop for every arm, one memo of what was proposed, one journal."""
