"""The files of a run: what it leaves behind, and how it is steered. Without torch."""
