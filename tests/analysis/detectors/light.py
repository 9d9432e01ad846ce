"""Variants that stand in tests for detectors which take seconds a fit."""

from __future__ import annotations

LIGHT = {"corp": "corp@features=48", "kpca-nystrom": "kpca-nystrom@landmarks=40", "weiper": "weiper@repeats=3"}
