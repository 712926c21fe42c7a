"""The commands: thin shells that parse, call and print."""
