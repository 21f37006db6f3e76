"""The process tree: supervisor, workers, background, signer, and the jobs they start."""
