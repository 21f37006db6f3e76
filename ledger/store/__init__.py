"""The event store: migrations, the append function, the writer, the recorder and the readers."""
