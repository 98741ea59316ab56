"""What a run is: sections, specs, presets and overrides, without torch."""
