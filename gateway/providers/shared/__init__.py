"""What several providers ask for alike."""
