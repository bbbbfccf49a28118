"""``python -m aebert.cli``, for when the console script is not on PATH."""

from aebert.cli.main import main

raise SystemExit(main())
