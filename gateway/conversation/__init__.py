"""What a conversation is, whatever format it is told in: the hub between the formats."""
