"""Text games of a household: the rules of ALFWorld in plain Python, real games and generated ones."""
