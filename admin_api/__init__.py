"""The desk: the REST API for operators, finance and automation."""
