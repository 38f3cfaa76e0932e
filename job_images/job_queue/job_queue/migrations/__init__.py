"""The tables of job_queue, step by step: a file a step, never changed once it has run somewhere."""
