"""HTTP and JSON as bytes: exchanges with clients, and the way out to providers."""
