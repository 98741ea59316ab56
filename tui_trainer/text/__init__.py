"""Text for people: cleaning, formats, errors, and output. Imports no other package of ours."""
