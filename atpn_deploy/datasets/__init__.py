"""Faces to learn from and to be measured on, read from the folders they come in."""
