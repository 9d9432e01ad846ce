"""Charts as files: pages that work offline, images, and specifications; whatever their texts say, they are texts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import vl_convert

from featurestore.errors import StorageError
from featurestore.shown_text import plain
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    import altair as alt

_IN_SCRIPT = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
"""What a page may do: draw, and load nothing from anywhere. Vega compiles its expressions, hence the second of its words."""
_PAGE = """<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<style>#chart.vega-embed {{ width: 100%; display: flex; }} #chart.vega-embed details {{ position: relative; }}</style>
<script>{library}</script>
</head>
<body>
<div id="chart"></div>
<script id="specification" type="application/json">{specification}</script>
<script>
vegaEmbed("#chart", JSON.parse(document.getElementById("specification").textContent), {{mode: "vega-lite"}}).catch(console.error);
</script>
</body>
</html>
"""


def script_json(value: Any) -> str:
    """A value as JSON that may stand in an HTML script element: no text in it ends the element, or begins a comment."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_IN_SCRIPT)


def script_text(script: str) -> str:
    """A library's script as it may stand in an HTML script element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def plain_texts(value: Any) -> Any:
    """A specification in which each character of a text is seen: others would end the process that draws an image."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain_texts(key): plain_texts(one) for key, one in value.items()}
    return [plain_texts(one) for one in value] if isinstance(value, list) else value


def write_chart(chart: alt.TopLevelMixin, file: Path, *, scale: float = 1) -> None:
    """Write a chart, whole or not at all.

    Args:
        chart: The chart.
        file: Where to; its suffix says what: `.html` (tooltips; works offline), `.json`, `.png` or `.svg`.
        scale: By what a `.png` is enlarged.

    Raises:
        StorageError: The file cannot be written.
    """
    made = _bytes(plain_texts(chart.to_dict()), file.suffix, scale)
    try:
        write_whole(file, made)
    except OSError as error:
        raise StorageError(f"Cannot write {file}: {error.strerror}.") from error


def _bytes(spec: dict[str, Any], suffix: str, scale: float) -> bytes:
    if suffix == ".png":
        image: bytes = vl_convert.vegalite_to_png(spec, scale=scale)
        return image
    if suffix == ".svg":
        return str(vl_convert.vegalite_to_svg(spec)).encode()
    if suffix == ".json":
        return json.dumps(spec, indent=2, sort_keys=True).encode()
    library = script_text(str(vl_convert.javascript_bundle()))  # type: ignore[call-arg] # the stub knows no default
    return _PAGE.format(policy=POLICY, library=library, specification=script_json(spec)).encode()
