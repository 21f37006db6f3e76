"""The truth: money, events, decisions and the append-only store. Imports nothing else of ours."""
