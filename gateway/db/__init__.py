"""Engines, dialects, threads and queues. The SQL of a subject stays with its subject."""
