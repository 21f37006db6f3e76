"""HTTP as it is served to the world: uvicorn with the bounds that an open socket needs."""
