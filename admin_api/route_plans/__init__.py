"""Whom a call would be sent to: the order of channels and keys, and the reason for each that is not
asked.
"""
