"""The JSON Schema of every stored event, committed as `events.json` for readers in any language."""
