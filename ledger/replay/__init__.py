"""The log by way of the eventsourcing library: for read models of one's own."""
