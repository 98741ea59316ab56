"""Models: plain torch modules, one a file, built from their sections."""
