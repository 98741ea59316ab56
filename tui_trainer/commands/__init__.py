"""The commands of the command line: what each takes, and what it calls.

Layer: commands. Every heavy import is inside the function that needs it, so that `--help` and the
presets answer without torch.
"""
