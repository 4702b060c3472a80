"""The rows of a catalogue and their photos, in Spark."""
