"""Composing an experiment: presets, form, preview, start."""
