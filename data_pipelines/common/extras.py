"""Optional packages: the extras of pyproject.toml, and the error when one is missing."""

from data_pipelines.common.errors import UserError


def missing_extra(problem: str, extra: str, error: Exception) -> UserError:
    """Builds the error for a failed import of an optional package.

    Args:
      problem: which feature needs which package, as the start of a sentence.
      extra: the extra of pyproject.toml that installs it.
    """
    fix = f"run `pip install -e '.[{extra}]'` in the project's folder"
    return UserError(f"{problem} ({error}); {fix}.")
