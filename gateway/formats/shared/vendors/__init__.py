"""What vendors and their models take, and a conversation as they take it."""
