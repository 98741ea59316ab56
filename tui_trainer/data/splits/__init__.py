"""Splits by identity: what a row is known by, its side, and the record of both in a run."""
