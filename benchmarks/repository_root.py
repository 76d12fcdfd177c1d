"""Lets a benchmark that is run as a script import the tests' own references: imported before them, for its effect."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
