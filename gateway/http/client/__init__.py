"""The client of providers: HTTP/1.1 over kept connections, plain and TLS."""
