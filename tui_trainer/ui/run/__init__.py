"""The screen of a run: its parts, its dialogs, and what it shows at the end."""
