"""How ATPN becomes a file, and how that file is run."""
