"""A run without the app: a progress bar, lines or JSON on stdout."""
