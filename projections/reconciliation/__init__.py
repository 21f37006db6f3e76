"""What providers say they served and charged, against what the ledger recorded, line by line."""
