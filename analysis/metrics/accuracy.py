"""Top-1 and top-5 accuracy: of blocks that are checked first, and of a dataset in the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.rows.checks import class_labels, finite_rows, float_matrix
from featurestore.partitions import writing
from featurestore.partitions.stored_accuracy import Accuracy, accuracy_details, accuracy_of, accuracy_target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part


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


def write_accuracy(lake: Lake, model: str, dataset: str, activations: Part) -> None:
    """Store a model's accuracy on a dataset, unless the lake holds that of the same activations.

    Args:
        lake: The lake.
        model: The model; it has logits.
        dataset: The dataset.
        activations: The model's activations on it.

    Raises:
        InputError: No sample has a label, or a label is no output of the head.
        NumericalError: A logit is NaN or infinite.
    """
    target = accuracy_target(model, dataset, activations.fingerprint)
    if writing.find(lake.storage, target, replacing=True):
        return
    total = Accuracy()
    for label, logits in lake.batches(model=model, dataset=dataset, columns=("label", "logits")):
        total += accuracy(logits[label >= 0], label[label >= 0])
    details = accuracy_details(model, dataset, activations)
    writing.write_part(lake.storage, target, total.rows, replacing=True, details=details)
