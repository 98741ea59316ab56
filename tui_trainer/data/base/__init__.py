"""What all sources of data build on; imports no other folder here."""
