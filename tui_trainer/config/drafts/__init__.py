"""An experiment while it is composed."""
