"""A verification as JSON and as JUnit XML, for scripts and CI."""

from __future__ import annotations

import json
from dataclasses import asdict
from xml.etree import ElementTree

from aebert.support.plain_text import for_xml
from host.verify.ladder import Verification


def to_json(verification: Verification) -> str:
    """All figures; ``passed`` at the top."""
    return json.dumps({"passed": verification.passed, **asdict(verification)}, indent=2) + "\n"


def to_junit(verification: Verification) -> str:
    """One test case per rung; a rung that does not hold is a failure with its summary."""
    failures = sum(not rung.passed for rung in verification.rungs)
    suite = ElementTree.Element(
        "testsuite",
        name=for_xml(f"aebert verify {verification.project}"),
        tests=str(len(verification.rungs)),
        failures=str(failures),
    )
    for rung in verification.rungs:
        case = ElementTree.SubElement(
            suite, "testcase", classname=for_xml(f"aebert.{verification.device}"), name=for_xml(rung.name)
        )
        if rung.passed:
            ElementTree.SubElement(case, "system-out").text = for_xml(rung.summary)
        else:
            ElementTree.SubElement(case, "failure", message=for_xml(rung.summary))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
