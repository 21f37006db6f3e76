"""What can be asked of the front over HTTP, path by path."""
