"""A video through several networks, each in its own closed loop: drift, jitter, lost tracks."""
