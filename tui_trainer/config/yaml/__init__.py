"""Strict reading and writing of YAML."""
