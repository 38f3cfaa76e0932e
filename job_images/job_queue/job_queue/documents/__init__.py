"""From files to clean text in overlapping chunks."""
