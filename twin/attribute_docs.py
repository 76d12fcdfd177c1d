"""The docstrings below a dataclass's fields as the descriptions of its JSON Schema.

pydantic can do so itself (`use_attribute_docstrings`), but then at every start, which takes a tenth of it; a schema is
seldom asked for.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise
from typing import Any


def describe(schema: dict[str, Any], cls: type) -> None:
    """Add to `schema` what the fields of `cls` say of themselves; for pydantic's `json_schema_extra`."""
    docs = attribute_docs(cls)
    for name, item in schema.get("properties", {}).items():
        if name in docs:
            item.setdefault("description", docs[name])


def attribute_docs(cls: type) -> dict[str, str]:
    """Field → the string literal that follows it in the source."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
