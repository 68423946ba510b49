"""What operators look at and do: by the console and by the commands."""
