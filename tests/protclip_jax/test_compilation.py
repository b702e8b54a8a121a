import jax
import jax.numpy as jnp
import pytest

from data_pipelines.errors import RunError
from protclip_jax.compilation import compiled_once, keep_compiled_programs


def test_other_shapes_are_refused_instead_of_compiled():
    traced = []

    @jax.jit
    def double(x):
        traced.append(x.shape)
        return 2 * x

    once = compiled_once(double)
    assert [float(once(jnp.float32(value))) for value in (1, 2, 3)] == [2, 4, 6]
    with pytest.raises(RunError, match="would have to be compiled again"):
        once(jnp.ones(3))
    assert traced == [()]


def test_programs_are_kept_in_the_users_cache_unless_told_otherwise(monkeypatch, tmp_path):
    before = jax.config.jax_compilation_cache_dir
    try:
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
        keep_compiled_programs()
        assert jax.config.jax_compilation_cache_dir == before
        monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        keep_compiled_programs()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "protclip_jax" / "xla")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
