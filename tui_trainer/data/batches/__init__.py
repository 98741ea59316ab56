"""Batches, made in memory or by worker processes."""
