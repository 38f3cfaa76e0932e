"""The jobs of ticket_miner: support tickets synced, classified and grouped into issues with trends."""
