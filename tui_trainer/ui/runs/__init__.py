"""The screen that lists runs: filter, comparison, forking and deleting."""
