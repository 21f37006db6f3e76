"""Which channel serves a call, and with which of its keys."""
