"""What a call used, and what that costs us: counted where nobody tells."""
