"""MSP at the temperature that fits the labels best."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from analysis.algebra.calibration import HIGHEST, LOWEST, best_inverse_temperature
from analysis.detectors.detector import Detector, FitInputs, on_validation_data
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.logits.softmax import tempered_msp
from analysis.statistics.temperature import TEMPERATURE_TAYLOR, VALIDATION_TEMPERATURE_TAYLOR
from featurestore.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic

_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TemperatureFit:
    """The temperature T."""

    temperature: float


def fit(inputs: FitInputs, statistic: Statistic, *, lowest: float, highest: float) -> TemperatureFit:
    """Find argmin_T of the negative log-likelihood of softmax(z / T), T in [lowest, highest].

    Raises:
        InputError: The bounds are the wrong way round.
    """
    if lowest > highest:
        raise InputError(f"lowest = {lowest:g} is above highest = {highest:g}: give them the other way round.")
    inverse, error = best_inverse_temperature(inputs.need(statistic))
    temperature = min(max(1 / inverse, lowest), highest)
    if not lowest < temperature < highest:
        inputs.warnings.append(
            f"the temperature of {statistic.name} is at its bound, {temperature:g}: the labels determine none, as they "
            "are separable, or unrelated to the logits"
        )
    elif error > _TOLERANCE:
        inputs.warnings.append(
            f"the temperature of {statistic.name}, {temperature:g}, is known only to a relative {error:.0e}"
        )
    return TemperatureFit(temperature)


def score(fit: TemperatureFit, activations: Activations) -> NDArray[np.float64]:
    """Return max_c softmax(z / T)_c, shape [n]."""
    return tempered_msp(None, activations, temperature=fit.temperature)


TEMP_SCALING = Detector(
    name="temp-scaling",
    title="TempScaling",
    formula="max_c softmax(z / T)_c, T = argmin of the negative log-likelihood",
    source="Guo et al. 2017, arXiv 1706.04599",
    score=score,
    fit=partial(fit, statistic=TEMPERATURE_TAYLOR),
    fitted_on="fit logits and labels",
    needs=(TEMPERATURE_TAYLOR,),
    needs_logits=True,
    needs_features=False,
    hyperparameters=(
        Hyperparameter("lowest", LOWEST, LOWEST, HIGHEST, "the lowest temperature that is considered"),
        Hyperparameter("highest", HIGHEST, LOWEST, HIGHEST, "the highest temperature that is considered"),
    ),
)

OPENOOD_TEMP_SCALING = on_validation_data(TEMP_SCALING, VALIDATION_TEMPERATURE_TAYLOR)
