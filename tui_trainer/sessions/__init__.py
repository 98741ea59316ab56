"""Gives front ends their runs: sessions, requests, previews, signals; torch only in functions."""
