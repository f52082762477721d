"""Pages of docs/ whose tables are made from files of figures: the places between their markers."""

import re
from collections.abc import Iterable, Mapping, Sequence

MARKED = re.compile(r"<!-- ([\w-]+) -->\n(.*?)<!-- end of \1 -->\n", re.DOTALL)


def in_lines(command: str, width: int = 100) -> str:
    """A command in lines of at most ``width`` characters, broken before its options."""
    lines = [""]
    for part in re.split(r" (?=--)", command):
        longer = f"{lines[-1]} {part}".lstrip()
        if lines[-1] and len(longer) > width - len("  ") - len(" \\"):
            lines.append(part)
        else:
            lines[-1] = longer
    return " \\\n  ".join(lines)


def in_table(head: Sequence[str], rows: Iterable[Sequence[str]], missing: Sequence[str]) -> str:
    """A Markdown table, if there are rows, and the names of those that were not measured."""
    cells = [tuple(row) for row in rows]
    if cells:
        cells = [tuple(head), tuple("---" for _ in head), *cells]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    if missing:
        named = ", ".join(f"`{name}`" for name in missing)
        lines += [*([""] if lines else []), f"Not measured yet: {named}."]
    return "\n".join(lines) + "\n"


def fill_page(text: str, rendered: Mapping[str, str]) -> str:
    """The page with everything between its markers replaced.

    Raises:
        ValueError: Markers are missing, or are of no table.
    """
    found = [match[1] for match in MARKED.finditer(text)]
    if sorted(found) != sorted(rendered):
        raise ValueError(
            f"The page has the markers {', '.join(sorted(found)) or 'of no table'}; expected each "
            f"of {', '.join(sorted(rendered))} once, as '<!-- NAME -->' and '<!-- end of NAME -->'."
        )
    return MARKED.sub(
        lambda m: f"<!-- {m[1]} -->\n\n{rendered[m[1]]}\n<!-- end of {m[1]} -->\n", text
    )
