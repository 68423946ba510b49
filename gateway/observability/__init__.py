"""Metrics, tracing and log lines."""
