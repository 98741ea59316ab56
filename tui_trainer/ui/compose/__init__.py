"""The screen that composes an experiment: presets, form, preview, start."""
