"""The desk as a web application: its routes put together, errors, and its own description."""
