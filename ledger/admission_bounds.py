"""How old what a call is admitted by may be: kept by the nodes that take calls, checked by fsck."""

CONFIGURATION_STALE_AFTER_S = 5.0
"""A node that could not follow the log for so long, nor read it then, takes no call."""

CALLER_KNOWN_FOR_S = 5.0
"""Whoever was longer about sending a call is asked again who it is."""

ADMITTED_WITHIN_S = 30.0
"""A call whose hold is not on its way to the database by then is refused."""

KNOWN_FOR_S = 60.0
"""All of these, the second in which a hold is stored or given back, and some more: by what the log
said no longer so long before it has a hold, nothing was admitted that is charged.
"""

COST_KNOWN_FOR_S = 120.0
"""What a call costs us is told by a book that was in force at most so long before its hold was
stored: of a probe of a key it is known before there is one.
"""

CLOCKS_APART_MAX_S = 3_600.0
"""Of the node that admits and the log: the append function believes no clock that jumps further."""
