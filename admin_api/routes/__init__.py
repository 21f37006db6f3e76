"""The desk's REST routes: one file per resource."""
