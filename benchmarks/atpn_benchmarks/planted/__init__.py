"""Faults planted into finished files, and whether the bisect names the layer that they are in."""
