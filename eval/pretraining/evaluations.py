"""The registry of evaluations. A new one is a file with its class and a line in `EVALUATIONS`."""

from eval.pretraining.evaluation import Evaluation
from eval.pretraining.held_out_losses import HeldOutLosses
from eval.pretraining.retrieval import Retrieval
from eval.pretraining.segment_localisation import SegmentLocalisation
from eval.pretraining.segment_recovery import SegmentRecovery
from eval.pretraining.segment_swap import SegmentSwap
from eval.pretraining.single_property import SingleProperty
from eval.pretraining.site_localisation import SiteLocalisation

EVALUATIONS: dict[str, type[Evaluation]] = {
    evaluation.name: evaluation
    for evaluation in (
        Retrieval,
        SingleProperty,
        SegmentRecovery,
        SegmentLocalisation,
        SegmentSwap,
        SiteLocalisation,
        HeldOutLosses,
    )
}
"""By name, in the order of reports."""
