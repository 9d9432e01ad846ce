"""Top-1 and top-5 accuracy of blocks that are checked first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.rows.checks import class_labels, finite_rows, float_matrix
from featurestore.partitions.stored_accuracy import Accuracy, accuracy_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def accuracy(logits: NDArray[Any], labels: NDArray[Any]) -> Accuracy:
    """Count the samples of one block whose label ranks first, and among the first five, as `accuracy_of` defines it.

    Args:
        logits: Any float dtype, shape [n, C].
        labels: Class indices, any integer dtype, shape [n].

    Returns:
        Counts, to be added over blocks.

    Raises:
        InputError: Shapes, dtypes or labels do not fit.
        NumericalError: A logit is NaN or infinite.
    """
    float_matrix("Logits", logits)
    finite_rows("Logits", logits)
    return accuracy_of(logits, class_labels(labels, *logits.shape))
