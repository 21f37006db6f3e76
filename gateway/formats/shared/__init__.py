"""What several formats say alike."""
