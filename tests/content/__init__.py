"""What was written, made fit to show."""
