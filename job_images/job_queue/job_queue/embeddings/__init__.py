"""From chunks of text to vectors, and from a question to the nearest of them."""
