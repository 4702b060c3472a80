"""From pixels to regions and slices: weights, networks, letterbox, NMS, regions, slicing and inference."""
