"""The catalogue: the mirrored products and prices."""
