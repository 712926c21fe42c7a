"""How big and how fast the deployable files are."""
