"""UniProt's feature types and their names in each of its formats."""

_NAMES = """
INIT_MET|initiator methionine|Initiator methionine
SIGNAL|signal peptide|Signal
PROPEP|propeptide|Propeptide
TRANSIT|transit peptide|Transit peptide
CHAIN|chain|Chain
PEPTIDE|peptide|Peptide
TOPO_DOM|topological domain|Topological domain
TRANSMEM|transmembrane region|Transmembrane
INTRAMEM|intramembrane region|Intramembrane
DOMAIN|domain|Domain
REPEAT|repeat|Repeat
CA_BIND|calcium-binding region|Calcium binding
ZN_FING|zinc finger region|Zinc finger
DNA_BIND|DNA-binding region|DNA binding
NP_BIND|nucleotide phosphate-binding region|Nucleotide binding
REGION|region of interest|Region
COILED|coiled-coil region|Coiled coil
MOTIF|short sequence motif|Motif
COMPBIAS|compositionally biased region|Compositional bias
ACT_SITE|active site|Active site
METAL|metal ion-binding site|Metal binding
BINDING|binding site|Binding site
SITE|site|Site
NON_STD|non-standard amino acid|Non-standard residue
MOD_RES|modified residue|Modified residue
LIPID|lipid moiety-binding region|Lipidation
CARBOHYD|glycosylation site|Glycosylation
DISULFID|disulfide bond|Disulfide bond
CROSSLNK|cross-link|Cross-link
VAR_SEQ|splice variant|Alternative sequence
VARIANT|sequence variant|Natural variant
MUTAGEN|mutagenesis site|Mutagenesis
UNSURE|unsure residue|Sequence uncertainty
CONFLICT|sequence conflict|Sequence conflict
NON_CONS|non-consecutive residues|Non-adjacent residues
NON_TER|non-terminal residue|Non-terminal residue
HELIX|helix|Helix
TURN|turn|Turn
STRAND|strand|Beta strand
"""

_ROWS = [line.split("|") for line in _NAMES.split("\n") if line]

TYPES = tuple(row[0] for row in _ROWS)
"""The names in flat files, in their order."""

OF_XML = {row[1]: row[0] for row in _ROWS}
"""XML `type` → flat-file type."""

OF_JSON = {row[2]: row[0] for row in _ROWS}
"""JSON `type` → flat-file type."""

OF_COLUMN = {name.lower(): type_ for name, type_ in OF_JSON.items()} | {"signal peptide": "SIGNAL"}
"""Lower-case TSV column name → flat-file type."""
