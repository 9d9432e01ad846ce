"""CIFAR-100 of OpenOOD v1.5."""

from extract.suites.openood import SMALL, openood_suite

SUITE = openood_suite(
    "openood-v1.5-cifar100",
    "cifar100",
    id_name="cifar100",
    images=SMALL,
    tuning="tin",
    groups={"near": ("cifar10", "tin"), "far": ("mnist", "svhn", "texture", "places365")},
    shifted={},
    elsewhere={},
)
