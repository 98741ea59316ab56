"""Kinds of data sets."""
