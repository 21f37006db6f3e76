"""`tollgate key`: issue, list and revoke the API keys of an account."""
