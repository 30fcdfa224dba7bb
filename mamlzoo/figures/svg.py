"""An SVG document as an element of an HTML page, which it shares with others."""

from __future__ import annotations

import hashlib
import re
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
DROPPED = ("metadata", "style")
"""Elements that say nothing here; a `style` would even hold for the whole page."""
INK = "#000000"
"""What is black in a drawing takes the page's own text colour, light or dark."""


def inline(document: str, label: str) -> str:
    """An `<svg>` element of HTML5 that scales to its box, without fixed size, background colour or network addresses.

    Ids are kept where something refers to them. They begin with a hash of drawing and label, so that figures on one
    page do not take each other's clip paths and markers.

    Args:
        document: a whole SVG file, as matplotlib writes it.
        label: what it shows, for those who cannot see it; "" where it says nothing that the text beside it does not.
    """
    root = ElementTree.fromstring(document)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(SVG) in DROPPED:
                parent.remove(child)
    prefix = f"f{hashlib.sha256((label + document).encode()).hexdigest()[:10]}-"
    referred = set(re.findall(r"""#([^"')]+)["')]""", document))
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        kept = {key.removeprefix(XLINK): value for key, value in element.attrib.items()}
        if kept.get("id") not in referred:
            kept.pop("id", None)
        element.attrib = {key: _attribute(key, value, prefix) for key, value in kept.items()}
        element.text, element.tail = _text(element.text), _text(element.tail)
    # matplotlib's own style sheet, as properties that every element inherits; black fills are not written at all.
    drawn = {"stroke-linejoin": "round", "stroke-linecap": "butt", "fill": "currentColor"}
    named = {"role": "img", "aria-label": label} if label else {"aria-hidden": "true"}
    root.attrib = {"viewBox": root.attrib["viewBox"], **named, **drawn}
    return ElementTree.tostring(root, encoding="unicode")


def _attribute(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return prefix + value
    if key == "href":
        return value.replace("#", f"#{prefix}", 1)
    return re.sub(r"\s+", " ", value.replace(INK, "currentColor").replace("url(#", f"url(#{prefix}")).strip()


def _text(text: str | None) -> str | None:
    """Indentation is worth nothing here."""
    return text if text and text.strip() else None
