"""The notebook in docs/ask, run without Jupyter; `python -m tests.notebook LAKE` writes its outputs anew, from the demo's lake."""

from __future__ import annotations

import ast
import base64
import io
import json
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOTEBOOK = Path(__file__).parent.parent / "docs" / "ask" / "notebook.ipynb"
FIGURE = NOTEBOOK.with_suffix(".png")


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that are run, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(sources: list[str], command: Callable[[list[str]], str]) -> Iterator[tuple[str, Any]]:
    """What each cell prints, and the value of its last line, in one namespace.

    Args:
        sources: The cells; one that begins with ! is a command, as in Jupyter.
        command: Runs a command, given its words, and returns what it prints.
    """
    names: dict[str, Any] = {}
    for source in sources:
        if source.startswith("!"):
            yield command(shlex.split(source[1:].replace("\\\n", " "))), None
            continue
        tree = ast.parse(source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with redirect_stdout(io.StringIO()) as said:
            exec(compile(tree, "<cell>", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None
        yield said.getvalue(), value


def page() -> str:
    """The notebook as Markdown: texts, code, what it printed, and its figure."""
    parts = []
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```{'sh' if source.startswith('!') else 'python'}\n{source.removeprefix('!')}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {"text/plain": output.get("text", "")})
            shown = (
                f"![The figure]({FIGURE.name})"
                if "image/png" in data
                else f"```text\n{data['text/plain'].rstrip()}\n```"
            )
            parts.append(shown)
    return "\n\n".join(parts)


def _outputs(number: int, said: str, value: Any) -> list[dict[str, Any]]:
    """As Jupyter keeps them."""
    found: list[dict[str, Any]] = []
    if said:
        found.append({"output_type": "stream", "name": "stdout", "text": said})
    if value is not None:
        data = {"text/plain": repr(value)}
        if hasattr(value, "_repr_mimebundle_"):
            drawn = value._repr_mimebundle_()
            data = drawn[0] if isinstance(drawn, tuple) else drawn
        if hasattr(value, "_repr_html_"):
            data |= {"text/html": value._repr_html_()}
        data = {
            kind: base64.b64encode(item).decode() if isinstance(item, bytes) else item for kind, item in data.items()
        }
        found.append({"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data})
    return found


def _of_shell(words: list[str]) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _write(lake: str) -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = code_cells(notebook)
    sources = ["".join(cell["source"]).replace("demo/lake", lake) for cell in cells]
    for number, (cell, (said, value)) in enumerate(zip(cells, run(sources, _of_shell), strict=True), 1):
        cell |= {"execution_count": number, "outputs": _outputs(number, said, value)}
    text = json.dumps(notebook, indent=1, ensure_ascii=False).replace(lake, "demo/lake") + "\n"
    NOTEBOOK.write_text(text, encoding="utf-8")
    (image,) = [
        output["data"]["image/png"]
        for cell in cells
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]
    FIGURE.write_bytes(base64.b64decode(image))


if __name__ == "__main__":
    _write(sys.argv[1])
