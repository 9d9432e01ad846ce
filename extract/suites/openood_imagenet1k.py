"""ImageNet-1K of OpenOOD v1.5."""

from extract.suites.openood import LARGE, SMALL, openood_suite

SUITE = openood_suite(
    "openood-v1.5-imagenet1k",
    "imagenet",
    id_name="imagenet1k",
    images=LARGE,
    tuning="openimage_o",
    groups={"near": ("ssb_hard", "ninco"), "far": ("inaturalist", "textures", "openimage_o")},
    shifted={
        "imagenet_v2": "test_imagenet_v2",
        "imagenet_c": "test_imagenet_c",
        "imagenet_r": "test_imagenet_r",
        "imagenet_es": "test_imagenet_es",
    },
    elsewhere={"textures": SMALL},
)
