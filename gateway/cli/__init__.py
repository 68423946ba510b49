"""The `gateway` command: one file for each group of commands."""
