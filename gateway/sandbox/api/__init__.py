"""The HTTP API: from a request to an operation and back."""
