"""The money side of a call: what is held, grown, settled or refunded, and by whom."""
