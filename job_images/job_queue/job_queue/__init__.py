"""The jobs of job_queue: the background work of a document platform, one command per type of job."""
