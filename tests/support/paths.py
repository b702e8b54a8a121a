"""Places of the repository that tests start programs from."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
