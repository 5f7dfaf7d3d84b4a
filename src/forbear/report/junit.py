"""A decision as JUnit XML: one test an arm, which passes where the arm is to be switched on."""

from xml.etree.ElementTree import Element, SubElement, indent, tostring  # nosec B405: XML is written, none is read

from forbear.report.text import decision_text
from forbear.report.view import DecisionView
from forbear.wording import shown


def decision_junit(view: DecisionView) -> str:
    """Renders a decision. FORBEAR and UNDECIDED are failures, of that type: leave it off.

    Args:
        view: From `decision_view`.
    """
    arms = list(view["verdicts"].values())
    failed = sum(arm["recommendation"] != "INTERVENE" for arm in arms)
    counts = {"tests": str(len(arms)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = Element("testsuites", {"name": "forbear", **counts})
    suite = SubElement(root, "testsuite", {"name": "forbear decide", **counts})
    for arm in arms:
        case = SubElement(suite, "testcase", {"classname": "forbear", "name": shown(arm["arm"], limit=200)})
        gain = arm["success_gain"]
        numbers = {
            "recommendation": arm["recommendation"],
            "tasks": arm["tasks"],
            "success_gain": gain["value"],
            "success_gain_low": gain["low"],
            "success_gain_high": gain["high"],
            "p_value_gain": arm["p_value_gain"],
        }
        properties = SubElement(case, "properties")
        for name, value in numbers.items():
            SubElement(properties, "property", {"name": name, "value": "" if value is None else str(value)})
        alone = DecisionView(
            format=view["format"],
            baseline=view["baseline"],
            verdicts={arm["arm"]: arm},
            ignored_columns=view["ignored_columns"],
            understood=view["understood"],
        )
        text = "\n".join(shown(line, limit=400) for line in decision_text(alone).splitlines())
        if arm["recommendation"] != "INTERVENE":
            message = shown(arm["headline"]["text"], limit=400)
            SubElement(case, "failure", {"message": message, "type": arm["recommendation"]}).text = text
        else:
            SubElement(case, "system-out").text = text
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'
