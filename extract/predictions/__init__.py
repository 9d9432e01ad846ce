"""What heads say of labelled samples: predictions, the accuracy that is said and stored of them, and whether labels mean the same."""

from extract.predictions.accuracy_stage import judge, judge_hits, read_predictions
from extract.predictions.predictions import Predictions

__all__ = ["Predictions", "judge", "judge_hits", "read_predictions"]
