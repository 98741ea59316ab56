"""The sections of an experiment."""
