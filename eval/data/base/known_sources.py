"""Where the benchmarks' files are, with digests of the original files."""

from eval.data.base.source import GITHUB, PublicFile, Source, from_github

_PICKLES = "LMDB databases whose rows are pickles, which are never loaded here: export them to CSV"
_PDB = PublicFile(
    "pdb_seqres.txt.gz", "https://files.rcsb.org/pub/pdb/derived_data/pdb_seqres.txt.gz"
)

DEEPLOC = Source(
    "github.com/HannesStark/protein-localization",
    "MIT (repository)",
    from_github(
        "HannesStark/protein-localization@7b0be1e64a91db8ad1a8feae994a4d09aa9d7b1b",
        "data_files",
        {
            "deeploc_our_val_set.fasta": "5fddf9a7c076c7a0c34e46bdf8a530fddb8cd17a54b28d8e7ebcf3d4fbbf77d6",
            "deeploc_test_set.fasta": "",
            "setHARD.fasta": "a6522e6bd9a36acfd1932851b4d7ed855981586bddd835441886a40413eeb908",
        },
        "deeploc",
    ),
    "deeploc_our_train_set.fasta, from data.bioembeddings.com/public/FLIP/scl",
)


def _deepfri(release: str, train: str, valid: str) -> Source:
    digests = {"annot.tsv": "", "train.txt": train, "valid.txt": valid, "test.csv": ""}
    files = from_github(
        "flatironinstitute/DeepFRI@3bd6c7eae67894ccedbe1117e33b3abe544bca71",
        "preprocessing/data",
        {f"{release}_{name}": digest for name, digest in digests.items()},
        "deepfri",
    )
    return Source(
        "github.com/flatironinstitute/DeepFRI; files.rcsb.org",
        "BSD-3-Clause; PDB: CC0",
        (*files, _PDB),
    )


DEEPFRI_EC = _deepfri(
    "nrPDB-EC_2020.04",
    train="5b674928876400203c6eb1e96250b951676024f17b2cfecf48de4f822a2606db",
    valid="2630c4d46fc35965979b57bfc1476f5cc3da17ac227c8beca9e12a3d1caf6fc2",
)
DEEPFRI_GO = _deepfri(
    "nrPDB-GO_2019.06.18",
    train="a2a42742ce45379f2ac19cde091b29f3c79de9e94c30fd3dbb401c0a252f00fe",
    valid="d72bf584d50ae1dd215fad031ccdada0399a32659ea753c2679756dba3fa1bf1",
)
IECONV = Source(
    "github.com/phermosilla/IEConv_proteins; files.rcsb.org",
    "its LICENSE; PDB: CC0",
    (
        *from_github(
            "phermosilla/IEConv_proteins@cc067a2f878f2c3918deae465371a7b708f3647c",
            "Datasets/data/ProtFunct",
            {
                "chain_functions.txt": "",
                "unique_functions.txt": "b612bba0a1b798464c08cc0e6671dee53aa6eb71b0e33580c56e3be0042c08d3",
                "training.txt": "b3caaea7bee88412d4297df36ab5c88b36c4c4ed22a88d7976e502f277fd665c",
                "validation.txt": "a250a08d705a17bb862c652b73fc5c6e00ecf39e5cf4a5d9268ed4852c8b88fb",
                "testing.txt": "",
            },
            "ieconv",
        ),
        _PDB,
    ),
)


def _flip(task: str, commit: str, name: str, *, sha256: str = "", md5: str = "") -> Source:
    """A split of FLIP, which comes in an archive."""
    address = f"{GITHUB}/J-SNACKKB/FLIP/{commit}/splits/{task}/splits.zip"
    file = PublicFile(f"flip/{task}/{name}", address, sha256, f"splits/{name}", md5)
    return Source("github.com/J-SNACKKB/FLIP", "AFL-3.0", (file,))


_OF_PROTST = "d5c35cc716ca93c3c74a0b43eef5b60cbf88521f"
"""The commit from which ProtST takes FLIP, with its archives' MD5 sums (protst/dataset.py)."""
FLIP_AAV = _flip("aav", _OF_PROTST, "two_vs_many.csv", md5="cabdd41f3386f4949b32ca220db55c58")
FLIP_MELTOME = _flip(
    "meltome", _OF_PROTST, "human_cell.csv", md5="0f8b1e848568f7566713d53594c0ca90"
)
FLIP_GB1 = _flip(
    "gb1",
    "62cace8735f5610e2743cf06ce0f944b37fffaa6",
    "two_vs_rest.csv",
    sha256="b368e4564e10e33735f897c9b63f1be7030082e565c6d4e1368d6f1641a310de",
)
TAPE_OR_PEER = Source(
    "github.com/songlab-cal/tape; github.com/DeepGraphLearning/PEER_Benchmark",
    "not stated",
    (),
    _PICKLES,
)
BETA_LACTAMASE = Source(
    "github.com/DeepGraphLearning/PEER_Benchmark; github.com/facebookresearch/esm",
    "not stated; ESM: MIT",
    from_github(
        "facebookresearch/esm@2b369911bb5b4b0dda914521b9475cad1656b2ac",
        "examples/data",
        {"P62593.fasta": ""},
        "beta_lactamase",
    ),
    f"PEER's splits are {_PICKLES}; or name P62593.fasta in the manifest as variant_fasta",
)
PRIMEKG = Source(
    "doi.org/10.7910/DVN/IXA7BM; github.com/RyanWangZf/BioBridge",
    "see the DOI; BioBridge: MIT",
    (
        PublicFile("primekg/kg.csv", "https://dataverse.harvard.edu/api/access/datafile/6180620"),
        *from_github(
            "RyanWangZf/BioBridge@f446ad2a21df6cf0b55a93b6f588bfdecf52c773",
            "data/BindData",
            {
                "data_config.json": "2b037fa3e6d6c84c9854c83d40c292de72678a8e3ffddf3919b17fdbb97cd6fc"
            },
            "primekg",
        ),
    ),
    "BioBridge's data/Processed tables (Git LFS: clone with `git lfs pull`), and drug "
    "vectors as an .npz",
)
PROBE = Source(
    "github.com/HUBioDataLab/PROBE; uniprot.org",
    "not stated; UniProt: CC BY 4.0",
    (),
    "all of its files",
)
_GNN_PPI = "lvguofeng/GNN_PPI@f47dfd1f5f43b1d8c0777e53f111be99a567d0f3"
SHS27K = Source(
    "github.com/lvguofeng/GNN_PPI",
    "MIT (repository); STRING: CC BY 4.0",
    from_github(
        _GNN_PPI,
        "data",
        {
            "protein.actions.SHS27k.STRING.txt": "6c79932d6489bed3c794fcde68a42ce603bc14e22c3cf549115685cd4fd6076a",
            "protein.SHS27k.sequences.dictionary.tsv": "2fe6201a91c8f64f872ae954f497232ec500bd3209a1647a2f0b471bc19a530d",
        },
        "ppi",
    ),
)
SHS148K = Source(
    "github.com/lvguofeng/GNN_PPI",
    "MIT (repository); STRING: CC BY 4.0",
    from_github(
        _GNN_PPI,
        "data",
        {
            "protein.SHS148k.sequences.dictionary.tsv": "f29adec92b32a78717af69a172466525dd38d11c9b63a3a611c1ea349e6b127a"
        },
        "ppi",
    ),
    "protein.actions.SHS148k.STRING.txt, in SHS_ppi_beta.zip that its page links to",
)
_STRING = "https://stringdb-static.org/download"
STRING = Source(
    "stringdb-static.org/download",
    "CC BY 4.0",
    tuple(
        PublicFile(
            f"ppi/9606.{name}.gz",
            f"{_STRING}/{name.rpartition('.')[0].removesuffix('.fa')}/9606.{name}.gz",
        )
        for name in ("protein.actions.v11.0.txt", "protein.sequences.v11.0.fa")
    ),
)
_PROTST = (
    f"{GITHUB}/DeepGraphLearning/ProtST/db53a76ed2430eb66dd9c8134ace99fd60980fb3"
    "/data/zero_shot_classification"
)


def _prompts(digests: dict[str, str]) -> Source:
    files = (
        PublicFile(f"protst/protst_{name}.tsv", f"{_PROTST}/{name}.tsv", digest)
        for name, digest in digests.items()
    )
    return Source("github.com/DeepGraphLearning/ProtST", "Apache-2.0", tuple(files))


LOCALISATION_PROMPTS = _prompts(
    {
        "subloc_template": "6a5d1903f1286e976989cd55d3d30f4cbd52ec2a7f6f6d6a15628da52c329e40",
        "subloc_language": "6816a996802ea328f57a6bac201e14d8632dee670e00eb735081758bc7b1a44e",
    }
)
REACTION_PROMPTS = _prompts(
    {
        "reaction_template": "8933b21780c8e03a6c397cfad31049baca301467d8d38406cc11149f84b9db1a",
        "reaction_language": "0617006ec8e1266915cd96cde9bcf3b02cf27db731c9d06b96fbd05d5bfac5fa",
        "reaction_name": "",
    }
)
PROTEINGYM = Source(
    "github.com/OATML-Markslab/ProteinGym",
    "MIT (repository)",
    (),
    "its reference file and the assays' ZIP",
)
SCL2205 = Source("the Python package scldata", "not stated", (), "its tables and labels")
KGSIM = Source(
    "github.com/liseda-lab/kgsim-benchmark; uniprot.org",
    "not stated; UniProt: CC BY 4.0",
    (),
    "all of its files",
)
