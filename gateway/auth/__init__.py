"""Who calls: the header of a request becomes a Principal."""
