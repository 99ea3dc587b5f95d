"""``python -m pipeline.preparing``: makes avatar packs; see ``prepare``."""

import sys

from pipeline.preparing.prepare import main

sys.exit(main())
