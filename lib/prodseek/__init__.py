"""prodseek: every object in a product catalogue, found once, searchable, de-duplicated and grouped."""

__version__ = "0.1.0"
