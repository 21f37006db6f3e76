"""The front: one paid call, from bytes in to bytes out."""
