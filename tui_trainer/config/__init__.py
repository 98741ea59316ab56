"""The configuration of a run: sections, specs, presets and overrides, without torch."""
