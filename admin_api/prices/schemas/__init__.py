"""How requests and answers write prices."""
