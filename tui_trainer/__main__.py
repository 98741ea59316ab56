"""The entry point of `tui-trainer` and `python -m tui_trainer`.

Layer: cli. Ctrl-C during the first imports ends the program as quietly as afterwards.
"""

import sys


def main() -> int:
    """Run the command line, and return the exit status."""
    try:
        from tui_trainer.config.garbage_collection import permanent_objects, spare_last_collection

        with permanent_objects():
            from tui_trainer.cli.main import main as run
    except KeyboardInterrupt:
        return 130
    status = run()
    spare_last_collection()
    return status


if __name__ == "__main__":
    sys.exit(main())
