"""SECURITY.md names code and tests as `path` and `path::test`: all of them are there."""

import re
import unittest

from harness import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
FOLDERS = "core|tests|docs|sdk|benches"


def missing(text):
    """What the text names and the repository lacks, with the number of things that were looked for."""
    named = re.findall(rf"`((?:{FOLDERS})/[\w./-]+)(?:::(\w+))?`", text)
    absent = []
    for path, test in named:
        file = ROOT / path
        if not file.exists():
            absent.append(f"there is no {path}")
        elif test and not re.search(rf"\b(fn|def) {test}\(", file.read_text()):
            absent.append(f"{path} has no test {test}")
    return absent, len(named)


class ThreatModel(unittest.TestCase):
    def test_what_it_names_exists(self):
        absent, looked_for = missing(TEXT)
        self.assertEqual(absent, [])
        self.assertGreater(looked_for, 60, "has the form of the references changed?")

    def test_what_is_gone_is_found(self):
        absent, _ = missing("`core/gone.rs`, `tests/tests/limits.rs::nobody_wrote_this`, `tests/tests/limits.rs`")
        self.assertEqual(len(absent), 2)

    def test_every_defence_has_a_test(self):
        tables = re.findall(r"^\| attack \| defence \| test \|\n\|[-|]+\|\n((?:\|.*\n)+)", TEXT, re.M)
        rows = [row for table in tables for row in table.splitlines()]
        self.assertGreater(len(rows), 25)
        for row in rows:
            attack, _, tests = row.strip("| ").split(" | ")
            self.assertRegex(tests, r"^`[^`]+::\w+`", attack)

    def test_links_lead_somewhere(self):
        for link in re.findall(r"\]\(([^)#:]+)", TEXT):
            self.assertTrue((ROOT / link).exists(), link)
