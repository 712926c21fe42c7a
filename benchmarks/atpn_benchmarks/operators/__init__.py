"""Where the time of an inference goes, operator by operator, as the runtimes themselves time it."""
