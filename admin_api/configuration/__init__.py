"""What was configured then."""
