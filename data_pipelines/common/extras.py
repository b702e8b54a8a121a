"""Optional packages: the extras of pyproject.toml, and what to say where one is missing."""

from data_pipelines.common.errors import UserError


def missing_extra(problem: str, extra: str, error: Exception) -> UserError:
    """The error to raise where an import failed.

    Args:
      problem: what needs which package, as the beginning of a sentence.
      extra: of pyproject.toml, which brings it.
    """
    fix = f"run `pip install -e '.[{extra}]'` in the project's folder"
    return UserError(f"{problem} ({error}); {fix}.")
