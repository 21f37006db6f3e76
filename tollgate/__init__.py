"""The door: the `tollgate` command, the settings, the process tree and the composition roots."""
