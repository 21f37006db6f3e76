"""What can be done at the desk, as plain functions shared by REST and the command line."""
