"""Price groups: what their members pay."""
