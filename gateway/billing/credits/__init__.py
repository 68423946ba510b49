"""Credits: a ledger that follows what was paid."""
