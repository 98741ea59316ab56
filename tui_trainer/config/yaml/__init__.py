"""YAML, read strictly."""
