"""OpenAI's chat completions; `format.py` puts together what the other files read and write."""
