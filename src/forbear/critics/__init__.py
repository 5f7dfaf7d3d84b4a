"""Critics: what scores a prefix, how its scores are calibrated, and how they are measured."""
