"""Words for people: cleaning, formats, errors, and the way out. Imports nothing of the rest."""
