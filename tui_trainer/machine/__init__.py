"""The machine that a run is on: devices, GPUs, memory and load, and the doctor command."""
