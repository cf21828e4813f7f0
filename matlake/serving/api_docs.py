"""The documentation for people, made from the OpenAPI document: plain HTML that needs no script from elsewhere."""

import json
from html import escape
from typing import Any, Final

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>matlake API</title>
<link rel="icon" href="/page/icon.svg">
<link rel="stylesheet" href="/page/style.css">
</head>
<body class="docs">
<header class="top">
<a class="brand" href="/">matlake</a>
<nav><a href="/">Page</a><a href="/openapi.json">OpenAPI document</a></nav>
</header>
<main>
<h1>API</h1>
{introduction}
{operations}
</main>
</body>
</html>
"""


def render_docs(document: dict[str, Any]) -> str:
    """Return a page about all operations of an OpenAPI document."""
    paragraphs = [f"<p>{_code(part)}</p>" for part in document["info"]["description"].strip().split("\n\n")]
    operations = [
        _operation(path, method, operation, document)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return _PAGE.format(introduction="\n".join(paragraphs), operations="\n".join(operations))


def _operation(path: str, method: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    parts = [
        '<section class="card operation">',
        f'<h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>',
        f"<p>{_code(operation.get('description', ''))}</p>",
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        parts.append(_fields("Request", body.get("schema", {}), document))
        if "example" in body:
            parts.append(f"<h3>Example</h3><pre>{escape(_curl(path, body['example']))}</pre>")
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    if "example" in answer:
        parts.append(
            f"<h3>Its answer</h3><pre>{escape(json.dumps(answer['example'], indent=1, ensure_ascii=False))}</pre>"
        )
    parts.append(_fields("Answer", answer.get("schema", {}), document))
    problems = [
        f"<tr><td>{escape(status)}</td><td>{_code(response['description'])}</td></tr>"
        for status, response in operation["responses"].items()
        if status != "200"
    ]
    if problems:
        parts.append(f"<details><summary>Errors</summary><table>{''.join(problems)}</table></details>")
    return "\n".join([*parts, "</section>"])


def _fields(heading: str, schema: dict[str, Any], document: dict[str, Any]) -> str:
    """Return a table of the fields of a schema; nothing where it names none."""
    known = _resolve(schema, document)
    rows = [
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_type(field))}</td>"
        f"<td>{_code(field.get('description', ''))}</td></tr>"
        for name, field in known.get("properties", {}).items()
    ]
    return f"<h3>{heading}</h3><table>{''.join(rows)}</table>" if rows else ""


def _resolve(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    return str(field.get("type", "any"))


def _curl(path: str, body: dict[str, Any]) -> str:
    text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    return f"curl http://127.0.0.1:8080{path} -H 'Content-Type: application/json' \\\n  -d '{text}'"


def _code(text: str) -> str:
    """Escape a text, with what stands in backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
