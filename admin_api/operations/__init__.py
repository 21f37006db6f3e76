"""What can be done at the desk, as plain functions: the REST routes and the command line share them."""
