"""Parity results as a JUnit report, which every CI shows."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from atpn_exporters.closed_loop.rules import LOST
from atpn_exporters.closed_loop.run import LoopResult
from atpn_exporters.parity_run import ParityResult


def write_junit(results: Sequence[ParityResult]) -> str:
    """One suite a file, one case a limit; the message of a failure names error, unit and limit."""
    root = ET.Element("testsuites", name="atpn-parity")
    for result in results:
        suite = ET.SubElement(root, "testsuite", name=str(result.path))
        if result.error:
            case = ET.SubElement(suite, "testcase", classname=str(result.path), name="compared")
            ET.SubElement(case, "error", message=result.error)
        for verification in result.verifications:
            classname = f"{result.path} on {verification.runtime}"
            if verification.not_run:
                case = ET.SubElement(suite, "testcase", classname=classname, name="runs")
                ET.SubElement(case, "skipped", message=verification.not_run)
                continue
            varies = ET.SubElement(suite, "testcase", classname=classname, name="outputs vary")
            if not verification.varies:
                ET.SubElement(varies, "failure", message=verification.complaint)
            for row in (*verification.rows, *verification.kernel_rows):
                name = f"{row.output} {row.statistic} over {row.scope} in {row.unit}"
                case = ET.SubElement(suite, "testcase", classname=classname, name=name)
                if not row.ok:
                    message = f"{row.error:.4g} {row.unit}, the limit is {row.limit:g}"
                    ET.SubElement(case, "failure", message=message).text = row.reason
    return _text(root)


def write_loop_junit(results: Sequence[LoopResult]) -> str:
    """One suite a file, one case a rule of its closed loop; lost tracks with frame and time."""
    root = ET.Element("testsuites", name="atpn-parity --video")
    for result in results:
        suite = ET.SubElement(root, "testsuite", name=str(result.path))
        if result.error:
            case = ET.SubElement(suite, "testcase", classname=str(result.path), name="compared")
            ET.SubElement(case, "error", message=result.error)
        for verdict in result.verdicts:
            rule = verdict.rule
            classname = f"{result.path} on {result.runtime}"
            name = f"{rule.name} in {rule.unit}"
            case = ET.SubElement(suite, "testcase", classname=classname, name=name)
            if verdict.value is None:
                ET.SubElement(case, "skipped", message="no face was followed for long enough")
            elif not verdict.ok:
                message = f"{verdict.value:.4g} {rule.unit}, the limit is {verdict.limit:g}"
                lost = result.comparison.lost if result.comparison and rule is LOST else ()
                text = "\n".join([rule.reason, *map(str, lost)])
                ET.SubElement(case, "failure", message=message).text = text
    return _text(root)


def _text(root: ET.Element) -> str:
    """The document, with what each suite holds counted in its head."""
    for suite in root:
        cases = list(suite)
        suite.set("tests", str(len(cases)))
        for kind in ("failure", "error", "skipped"):
            plural = {"failure": "failures", "error": "errors"}.get(kind, kind)
            suite.set(plural, str(sum(case.find(kind) is not None for case in cases)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
