"""One photo's bytes to pixels, colours and an id."""
