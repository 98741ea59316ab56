"""Models: plain torch modules, built from their sections."""
