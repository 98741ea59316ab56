"""The terminal app. Textual and plotext are imported here and nowhere else; torch never is."""
