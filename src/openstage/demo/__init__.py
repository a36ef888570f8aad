"""The demonstration: media made on the spot, sent through a dialect and played."""
