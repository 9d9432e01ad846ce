"""NINCO as it was released (Zenodo 8013288, `NINCO_all.tar.gz`): its OOD classes, unit-tests, and cleaned popular OOD sets."""

from extract.suites.suite import Suite, SuiteSet

SUITE = Suite(
    "ninco-2023",
    (
        SuiteSet("ninco", "ood", ".", "ninco", group="ninco", part="ood-classes"),
        SuiteSet("unit-tests", "ood", ".", "ninco", group="unit-tests", part="unit-tests"),
        SuiteSet("ninco-popular", "ood", ".", "ninco", group="popular", part="popular"),
    ),
    marker="NINCO_OOD_classes.csv",
    below=("NINCO_all", "NINCO"),
    remark="NINCO comes without ImageNet",
)
