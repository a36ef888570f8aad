"""Pages for people: start page, watch page, embeddable player."""
