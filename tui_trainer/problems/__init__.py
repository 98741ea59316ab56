"""Kinds of problems, such as classification: their targets, metrics and predictions."""
