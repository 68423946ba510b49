"""The tables, columns only: one file for each noun."""
