"""Authentication: from the header of a request to a Principal."""
