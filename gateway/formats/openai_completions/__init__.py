"""OpenAI's legacy completions: a prompt, and what follows it."""
