"""Text for people: cleaning, formats, errors, and output. Imports nothing else of ours."""
