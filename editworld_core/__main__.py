"""``python -m editworld_core``: see ``cli``."""

import sys

from editworld_core.cli import main

sys.exit(main())
