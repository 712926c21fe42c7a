"""Which layer of a deployable file is at fault, and what that costs in pixels and degrees."""
