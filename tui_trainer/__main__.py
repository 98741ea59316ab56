"""`python -m tui_trainer`."""

import sys

from tui_trainer.cli.main import main

sys.exit(main())
