"""What requests and answers are made of: texts, amounts, moments, positions."""
