"""Looking after a root: is a run sound, what is there, what can go."""
