"""CIFAR-10 of OpenOOD v1.5."""

from extract.suites.openood import SMALL, openood_suite

SUITE = openood_suite(
    "openood-v1.5-cifar10",
    "cifar10",
    id_name="cifar10",
    images=SMALL,
    tuning="tin",
    groups={"near": ("cifar100", "tin"), "far": ("mnist", "svhn", "texture", "places365")},
    shifted={"cifar10c": "test_cifar10c"},
    elsewhere={},
)
