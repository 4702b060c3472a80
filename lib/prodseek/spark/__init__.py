"""Sessions and validated table IO; the one part of the library that knows Spark."""
