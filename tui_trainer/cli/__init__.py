"""The command line: arguments, commands, and output as text or JSON."""
