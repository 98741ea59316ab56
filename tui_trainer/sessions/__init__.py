"""How a front end holds a run: sessions, workbench, devices, signals; torch only in functions."""
