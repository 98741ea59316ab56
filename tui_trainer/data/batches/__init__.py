"""Making batches, in memory and in workers."""
