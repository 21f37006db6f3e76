"""One paid call, from the caller's bytes to the last byte of the answer: start at `relay`."""
