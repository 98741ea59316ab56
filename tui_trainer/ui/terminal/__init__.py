"""The terminal: driver, output of programs, clipboard, cleaning, and ASCII replacements."""
