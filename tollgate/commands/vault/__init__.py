"""`tollgate vault`: the secret that names and provider keys are sealed under."""
