"""Which modules an int8 file leaves in float: told by a file, or found by measuring."""
