"""How good a run is by labels that people gave: what `prodseek evaluate` measures."""
