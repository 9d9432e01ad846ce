"""Models of a job, or their datasets, that cannot be worked on as they are, and why: the others go on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featurestore.errors import ConflictError, InputError, MissingError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Iterator

OF_ONE_MODEL = (InputError, MissingError, ConflictError, NumericalError)


_ABOUT = "_about_model"
_LISTED = 10


@contextmanager
def about(model: str) -> Iterator[None]:
    """Have what is raised tell which model it is about, also where it was raised in another process.

    Raises:
        LakeError: What was raised.
    """
    try:
        yield
    except OF_ONE_MODEL as error:
        vars(error).setdefault(_ABOUT, model)  # attributes are pickled with an exception
        raise


def blamed(error: BaseException) -> str | None:
    """The model that an error is about; None if that is not known."""
    return vars(error).get(_ABOUT)


@dataclass(frozen=True, slots=True)
class Refusals:
    """What was refused so far.

    Attributes:
        whole: Whether the first refusal ends the job, as it must where it is about one model, or averages them.
        reasons: A sentence for each model (`NAME`), or model on a dataset (`NAME on DATASET`).
    """

    whole: bool = False
    reasons: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Note what is raised about a model, instead of ending the job.

        Raises:
            LakeError: The job is about this model alone, or the error is not about a model.
        """
        try:
            yield
        except OF_ONE_MODEL as error:
            if self.whole:
                raise
            self.reasons.setdefault(name, str(error))

    def check_left(self, left: int) -> None:
        """Raise unless something is left to do, or nothing was refused.

        Raises:
            InputError: All was refused; the message gives the reasons.
        """
        if left or not self.reasons:
            return
        # A row of a pool without a name is called by its place, with which its reason begins.
        lines = [
            reason if reason.startswith(f"{name}:") else f"{name}: {reason}" for name, reason in self.reasons.items()
        ]
        more = [f"… and {len(lines) - _LISTED:,} more are refused."] if len(lines) > _LISTED else []
        raise InputError("\n".join([*lines[:_LISTED], *more]))
