"""The desk: the REST API for operators, customers, finance and automation."""
