"""What in a network will hurt when it is quantised or halved, said before it is."""
