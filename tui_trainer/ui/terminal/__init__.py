"""The terminal: driver, output, clipboard, ASCII."""
