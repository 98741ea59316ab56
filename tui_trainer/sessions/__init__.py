"""Gives front ends their runs: sessions, requests, workbench, signals; torch only in functions."""
