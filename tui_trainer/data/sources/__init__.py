"""The kinds of data sets."""
