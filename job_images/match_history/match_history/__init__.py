"""The jobs of match_history: draft analytics over League of Legends matches, one command per job."""
