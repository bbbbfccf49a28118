"""XML from outside, parsed safely: no entities or DTDs (defusedxml), bounded depth and element count."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from aebert.hls_reports.reading import ReportText

MAX_DEPTH = 64  # loop nests in real reports reach about a dozen levels
MAX_ELEMENTS = 2_000_000


class _TooComplex(Exception):
    pass


class _BoundedTreeBuilder(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._elements = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._depth > MAX_DEPTH:
            raise _TooComplex(f"elements nested deeper than {MAX_DEPTH}")
        if self._elements > MAX_ELEMENTS:
            raise _TooComplex(f"more than {MAX_ELEMENTS} elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse_xml(report: ReportText) -> Element:
    """The root element. Raises ReportError for broken, hostile or over-complex XML."""
    parser = DefusedXMLParser(target=_BoundedTreeBuilder(), forbid_dtd=True)
    try:
        parser.feed(report.text.encode("utf-8"))
        root = parser.close()
    except ParseError as error:
        raise report.error(f"broken XML ({error})") from None
    except DefusedXmlException as error:
        raise report.error(f"refused XML ({type(error).__name__}: entities and DTDs are not allowed)") from None
    except _TooComplex as error:
        raise report.error(f"refused XML ({error})", "this is no HLS report") from None
    if not isinstance(root, Element):
        raise report.error("XML without a root element")
    return root
