"""The command line: its words, and text and JSON on stdout."""
