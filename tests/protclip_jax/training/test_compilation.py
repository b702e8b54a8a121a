import jax
import jax.numpy as jnp
import pytest

from data_pipelines.common.errors import RunError
from protclip_jax.training import compilation
from protclip_jax.training.compilation import compiled_once, keep_compiled_programs


def test_other_shapes_are_refused_instead_of_compiled():
    traced = []

    @jax.jit
    def double(x):
        traced.append(x.shape)
        return 2 * x

    once = compiled_once({"double": double})
    assert [float(once(jnp.float32(value))) for value in (1, 2, 3)] == [2, 4, 6]
    with pytest.raises(RunError, match="inputs of the training step"):
        once(jnp.ones(3))
    assert traced == [()]


def sums(*factors):
    """Equivalent jitted functions of one array; temporaries are a multiple of its size."""

    def of(factor):
        return jax.jit(lambda x: jax.lax.sort(jnp.stack([x] * factor), dimension=1).sum() / factor)

    return {f"{factor} copies": of(factor) for factor in factors}


@pytest.mark.parametrize(
    ("capacity", "taken"), [(1 << 30, "64 copies"), (6_000_000, "8 copies"), (1_000, "1 copies")]
)
def test_the_first_candidate_that_fits_is_taken_and_reported(monkeypatch, capsys, capacity, taken):
    monkeypatch.setattr(compilation, "device_memory", lambda: capacity)
    once = compiled_once(sums(64, 8, 1))
    assert float(once(jnp.ones(100_000, jnp.float32))) == pytest.approx(100_000)
    assert f" {taken} of 64 copies, 8 copies, 1 copies" in capsys.readouterr().err


def test_too_little_memory_is_one_sentence(monkeypatch):
    def refuse(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Ran out of memory on HBM.")

    monkeypatch.setattr(compilation, "first_that_fits", refuse)
    once = compiled_once({"none": jax.jit(lambda x: x)})
    with pytest.raises(RunError, match="more memory .*batch.rows"):
        once(1)


def test_programs_are_kept_in_the_users_cache_unless_reported_otherwise(monkeypatch, tmp_path):
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
