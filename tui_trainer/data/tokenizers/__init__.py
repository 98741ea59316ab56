"""Tokenizers: the ways to write a text as numbers."""
