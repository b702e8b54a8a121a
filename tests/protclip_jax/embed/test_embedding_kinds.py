"""How proteins and texts are measured, and which kinds a checkpoint can give."""

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.embed.embedding_kinds import choose_kinds, protein_embedder
from protclip_jax.inference.windows import Windows


@pytest.mark.parametrize(
    ("policy", "tokens"),
    # Three windows of 100 residues begin at 0, 50 and 100, each between two special tokens.
    [("windows", 3 * 102), ("truncate", 102), ("whole", 202)],
)
def test_a_protein_is_measured_by_the_tokens_that_are_read(policy, tokens):
    measure = protein_embedder(["mean"], Windows(policy, max_residues=100, overlap=50), 1).measure
    assert measure("A" * 100)[:2] == (102, False)
    assert measure("A" * 200)[:2] == (tokens, True)


def test_kinds_follow_the_checkpoint_and_the_wish():
    whole, tower = (
        frozenset({"protein", "protein_projection", "text", "text_projection"}),
        frozenset({"protein"}),
    )
    assert choose_kinds(None, modality="protein", groups=whole) == ["projected"]
    assert choose_kinds(None, modality="protein", groups=tower) == ["mean"]
    assert choose_kinds(None, modality="text", groups=whole) == ["projected"]
    assert choose_kinds(["residues", "mean", "residues"], modality="protein", groups=tower) == [
        "residues",
        "mean",
    ]
    with pytest.raises(
        UserError,
        match="no protein_projection parameters, only protein, .* proteins as projected",
    ):
        choose_kinds(["projected"], modality="protein", groups=tower)
    with pytest.raises(UserError, match="no text parameters, only protein"):
        choose_kinds(None, modality="text", groups=tower)
