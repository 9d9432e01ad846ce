"""What heads say of labelled samples: predictions, the accuracy that is said and stored of them, and whether labels mean the same."""

from extract.predictions.accuracy_stage import read_predictions, store_accuracy, store_missing_accuracies
from extract.predictions.predictions import Predictions

__all__ = ["Predictions", "read_predictions", "store_accuracy", "store_missing_accuracies"]
