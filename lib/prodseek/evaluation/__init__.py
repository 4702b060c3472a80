"""How good a run is, measured with labels that people gave: `prodseek evaluate`."""
