"""The lake's layout: what docs/format.md says, as values and their text; no I/O."""

from featurestore.layout import head_input, paths
from featurestore.layout.fingerprint import Ingredient, Ingredients
from featurestore.layout.manifest import FORMAT_VERSION, Fragment, Manifest, Part
from featurestore.layout.tables import RECIPE_COLUMNS, TABLES, VECTOR_DTYPES, Table

__all__ = [
    "FORMAT_VERSION",
    "RECIPE_COLUMNS",
    "TABLES",
    "VECTOR_DTYPES",
    "Fragment",
    "Ingredient",
    "Ingredients",
    "Manifest",
    "Part",
    "Table",
    "head_input",
    "paths",
]
