"""``python -m ticket_miner COMMAND``."""

import sys

from ticket_miner.commands import main

sys.exit(main())
