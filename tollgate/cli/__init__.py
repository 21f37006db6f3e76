"""The `tollgate` command: one file per group of commands."""

from tollgate.cli.command_line import main as main  # the console script's entry point
