"""The registry of suites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.suites import ninco_2023, openood_cifar10, openood_cifar100, openood_imagenet1k, openood_imagenet200
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extract.suites.suite import Suite

_MODULES = (openood_imagenet1k, openood_imagenet200, openood_cifar10, openood_cifar100, ninco_2023)
SUITES: Mapping[str, Suite] = {module.SUITE.name: module.SUITE for module in _MODULES}


def named_suite(name: str) -> Suite:
    """The suite of that name.

    Raises:
        MissingError: There is none; the message names the nearest.
    """
    return SUITES[pick("suite", name, SUITES)]
