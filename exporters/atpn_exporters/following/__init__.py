"""Faces followed through one video by an exported file: request, run, outputs, summary."""
