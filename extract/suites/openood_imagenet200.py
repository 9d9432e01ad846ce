"""ImageNet-200 of OpenOOD v1.5: its 200 classes have indices of their own."""

from extract.suites.openood import LARGE, SMALL, openood_suite

SUITE = openood_suite(
    "openood-v1.5-imagenet200",
    "imagenet200",
    id_name="imagenet200",
    images=LARGE,
    tuning="openimage_o",
    groups={"near": ("ssb_hard", "ninco"), "far": ("inaturalist", "textures", "openimage_o")},
    shifted={
        "imagenet200_v2": "test_imagenet200_v2",
        "imagenet200_c": "test_imagenet200_c",
        "imagenet200_r": "test_imagenet200_r",
    },
    elsewhere={"textures": SMALL},
)
