"""From rows of a file to records, each row checked."""
