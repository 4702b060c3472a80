"""Search: a box in a photo, or a region of the catalogue, in; similar products out."""
