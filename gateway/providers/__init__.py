"""One file per vendor: where its calls go, and how they are authorised."""
