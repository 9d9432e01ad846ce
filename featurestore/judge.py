"""A detector in use on images: what a lake fitted, the network that it knows, and a verdict for each image.

Beside the verbs and the command, the one file that knows both stages; whoever imports it has analysis, and torch only once
images are judged.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.judging import ThresholdedDetector

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from extract.judging import JudgedNetwork, SeenImages
    from extract.models import Head
    from featurestore.progress import Bars

_COLUMNS = {
    "image": "String", "accepted": "Boolean", "score": "Float64", "threshold": "Float64", "threshold_low": "Float64",
    "threshold_high": "Float64", "id_rank": "Float64", "predicted": "Int64", "class_name": "String", "error": "String",
}  # fmt: skip


class Judge(ThresholdedDetector):
    """A fitted detector with its threshold; made by `featurestore.Lake.judge`, or read by `Judge.load`.

    Scores of activations take numpy alone; `images` and `as_module` take torch, and the network's files.
    """

    __slots__ = ()

    def images(
        self,
        images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        key_map: str | os.PathLike[str] | None = None,
        head: str | os.PathLike[str] | None = None,
        device: str = "auto",
        batch_size: int = 64,
        workers: int | None = None,
        progress: Bars | None = None,
    ) -> pl.DataFrame:
        """Judge images, as `featurestore judge` does.

        Args:
            images: Image files, folders, or globs.
            checkpoint: Where the checkpoint lies now; by default where it was extracted from.
            key_map: The same of the file that turns names in it.
            head: The same of the head's file.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            batch_size: Images per forward pass.
            workers: Processes that decode images; None chooses.
            progress: Shows how far it is.

        Returns:
            A row per image, in order: `image`, `accepted`, `score`, `threshold`, `threshold_low`, `threshold_high` (its 95 %
            interval), `id_rank` (share of ID test scores below, ties half), `predicted` (class; null without a head),
            `class_name`, and `error`, which is null of images that could be judged.

        Raises:
            InputError: Nothing is named, or a file of the network is not there.
            ConflictError: The network's files are others than it was extracted with.
        """
        import polars as pl

        from extract.judging import named_images, seen_images
        from extract.models.recorded import Places

        listed = [images] if isinstance(images, (str, os.PathLike)) else images
        paths = named_images([os.fspath(image) for image in listed])
        low, high = self.threshold_interval
        told = {"threshold": self.threshold, "threshold_low": low, "threshold_high": high}
        rows: list[dict[str, Any]] = [{"image": path, **told} for path in paths]
        bar = progress(f"judging by {self.network.model}", len(paths)) if progress else nullcontext(lambda _: None)
        with bar as advance:
            seen = seen_images(
                self.network,
                paths,
                known=self._head,
                places=Places(*(None if place is None else Path(place) for place in (checkpoint, key_map, head))),
                device=device,
                batch_size=batch_size,
                workers=workers,
                advance=advance,
            )
            for batch in seen:
                self._take(batch, rows)
        return pl.DataFrame(rows, {name: getattr(pl, kind) for name, kind in _COLUMNS.items()})

    def as_module(self, network: Any = None, *, checkpoint: str | os.PathLike[str] | None = None) -> JudgedNetwork:
        """The network and this judge as one `torch.nn.Module`, for images that are prepared already.

        Its `forward` takes float32 [n, 3, height, width] and gives `score`, `accepted`, `predicted`, `feature` and `logits`; its
        `transform` prepares a PIL image.

        Args:
            network: A network of timm's with this model's weights; by default it is built, and checked, as the lake knows it.
            checkpoint: Where its checkpoint lies now.

        Raises:
            InputError: A file of the network is not there, or it cannot be run so.
            ConflictError: It is another network than was extracted.
        """
        from extract.judging import judged_network
        from extract.models.recorded import Places

        places = Places(None if checkpoint is None else Path(checkpoint))
        return judged_network(self.network, self, self._head, network=network, places=places)

    @property
    def _head(self) -> Head | None:
        import numpy as np

        from extract.models import Head

        head = self.fitted.context.head
        if head is None:
            return None
        return Head(head.weight.astype(np.float32), head.bias.astype(np.float32), head.normalizes)

    def _take(self, batch: SeenImages, rows: list[dict[str, Any]]) -> None:
        """Enter a batch's verdicts, and what went wrong."""
        for row, error in batch.errors:
            rows[row]["error"] = error
        if not batch.rows:
            return
        scores = self.score(batch.feature, batch.logits)
        ranks, threshold = self.id_rank(scores), self.threshold
        for place, row in enumerate(batch.rows):
            score = float(scores[place])
            rows[row] |= {"score": score, "accepted": score >= threshold, "id_rank": float(ranks[place])}
            if batch.logits is not None and batch.logits.shape[1]:
                predicted = int(batch.logits[place].argmax())
                rows[row] |= {"predicted": predicted, "class_name": self.class_names.get(predicted)}
