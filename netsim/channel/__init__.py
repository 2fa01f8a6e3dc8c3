"""The radio channel between a site and a client: path loss, shadowing, antennas, fading."""
