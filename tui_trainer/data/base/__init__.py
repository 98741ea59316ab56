"""The foundation of all data sources; imports no other folder of `data`."""
