"""What takes longer: answering a what-if, posting a correction."""
