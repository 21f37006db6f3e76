"""What a conversation is, whatever dialect it is told in: the hub between the wire formats."""
