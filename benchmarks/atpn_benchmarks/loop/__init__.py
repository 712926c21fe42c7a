"""How long the bare loop on video takes a frame: crop, network, track, filter; nothing drawn."""
