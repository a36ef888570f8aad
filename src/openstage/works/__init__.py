"""What was, or will be, published: metadata, the state machine, visibility, listing, play counts."""
