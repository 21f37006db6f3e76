"""What-ifs, and corrections out of them."""
