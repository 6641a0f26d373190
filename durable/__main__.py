"""`python -m durable` is the command `durable`."""

import sys

from durable.cli.main import main

sys.exit(main())
