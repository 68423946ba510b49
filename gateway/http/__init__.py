"""The HTTP edge. It knows nothing of billing."""
