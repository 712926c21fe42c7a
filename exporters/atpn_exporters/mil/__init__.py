"""ML programs, the content of a .mlpackage: read from disk and evaluated without Core ML."""
