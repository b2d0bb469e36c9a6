#!/usr/bin/env python3
"""Holds a dashboard's queries against a real /metrics: `curl -s 127.0.0.1:8081/metrics | lint.py [weir.json]`.

For each query of a panel, a variable or an annotation: every metric that it names is there, as the kind that its function wants
(`rate` and `increase` of counters, `histogram_quantile` of buckets); every label that it selects or groups by belongs to
the metric; every value that it selects occurs; every label of a legend is one that the query keeps. Metrics appear once
they have been counted, so serve something of everything first.

What it reads of PromQL is what such dashboards use: selectors, aggregations with `by`, functions, arithmetic. Anything else
is a finding, not a pass. Prints findings; ends with 1 if there are some.
"""

import json
import pathlib
import re
import sys
from collections import defaultdict

# What Prometheus adds when it scrapes.
SCRAPED = {"job", "instance"}
AGGREGATES = {"sum", "max", "min", "avg", "count"}
OF_COUNTERS = {"rate", "increase", "irate"}
FUNCTIONS = OF_COUNTERS | {"histogram_quantile", "vector", "changes"}
WORDS = {"by", "or", "and", "unless"}
TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][a-zA-Z0-9_:]*|\d+(?:\.\d+)?|=~|!~|!=|==|>=|<=|[(){}=,+*/<>-])')


class Unread(Exception):
    """A query that this lint does not understand."""


class Exposition:
    """What /metrics says: for each sample's name its kind, its labels and their values."""

    def __init__(self, text):
        self.kinds, self.values = {}, defaultdict(lambda: defaultdict(set))
        families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        for name, labels in re.findall(r"^([a-zA-Z_:][\w:]*)(\{.*\})? \S+$", text, re.M):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            bucket = families.get(family) == "histogram"
            self.kinds[name] = ("bucket" if name.endswith("_bucket") else "counter") if bucket else families.get(name, "untyped")
            known = self.values[name]
            for label, value in re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', labels):
                known[label].add(value)

    def labels(self, metric):
        return set(self.values[metric]) | SCRAPED


class Query:
    """One query, read from left to right; `kept` are the labels of its result, `None` if they cannot be told."""

    def __init__(self, text, exposition):
        self.tokens, self.at, self.exposition, self.findings = self.split(text), 0, exposition, []
        self.kept = self.expression()
        if self.at < len(self.tokens):
            raise Unread(f"`{self.tokens[self.at]}` was not expected")

    @staticmethod
    def split(text):
        tokens, at = [], 0
        while text[at:].strip():
            if not (found := TOKEN.match(text, at)):
                raise Unread(f"`{text[at:at + 20]}` is not read by this lint")
            tokens.append(found[1])
            at = found.end()
        return tokens

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted=None):
        token = self.peek()
        if not token or wanted and token != wanted:
            raise Unread(f"`{wanted or 'more'}` is missing before `{token or 'the end'}`")
        self.at += 1
        return token

    def say(self, finding):
        self.findings.append(finding)

    def expression(self, inside=None):
        kept = self.operand(inside)
        while self.peek() in {"+", "-", "*", "/", ">", "<", ">=", "<=", "==", "!=", "or", "and", "unless"}:
            self.take()
            other = self.operand(inside)
            kept = kept if other is None else other if kept is None else kept & other
        return kept

    def operand(self, inside):
        token = self.take()
        if token == "(":
            kept = self.expression(inside)
            self.take(")")
            return kept
        if re.fullmatch(r"\d+(\.\d+)?", token):
            return None
        if token in AGGREGATES:
            return self.aggregate()
        if self.peek() == "(":
            return self.function(token)
        if token in WORDS or not re.match(r"[a-zA-Z_:]", token):
            raise Unread(f"`{token}` was not expected")
        return self.selector(token, inside)

    def aggregate(self):
        grouped = self.grouping() if self.peek() == "by" else set()
        self.take("(")
        kept = self.expression()
        self.take(")")
        for label in grouped - (kept or set()):
            self.say(f"groups by `{label}`, which what it aggregates does not have")
        return grouped

    def grouping(self):
        self.take("by")
        self.take("(")
        labels = set()
        while self.peek() != ")":
            labels.add(self.take())
            if self.peek() == ",":
                self.take()
        self.take(")")
        return labels

    def function(self, name):
        if name not in FUNCTIONS:
            raise Unread(f"the function `{name}` is not read by this lint")
        self.take("(")
        kept = self.expression(name)
        while self.peek() == ",":
            self.take()
            kept = self.expression(name)
        self.take(")")
        if name == "histogram_quantile":
            if "le" not in (kept or ()):
                self.say("histogram_quantile of something that has no label `le`")
            return (kept or set()) - {"le"}
        return set() if name == "vector" else kept

    def selector(self, metric, function):
        kind = self.exposition.kinds.get(metric)
        matchers = self.matchers() if self.peek() == "{" else []
        ranged = self.peek().startswith("[")
        if ranged:
            self.take()
        if kind is None:
            self.say(f"there is no metric `{metric}`")
            return None
        if function in OF_COUNTERS and kind not in ("counter", "bucket"):
            self.say(f"{function} of `{metric}`, a {kind}")
        if function not in OF_COUNTERS and kind in ("counter", "bucket"):
            self.say(f"`{metric}`, a {kind}, without rate or increase")
        if ranged != (function in OF_COUNTERS | {"changes"}):
            self.say(f"`{metric}` needs a range" if not ranged else f"`{metric}` has a range and no function for it")
        for label, sign, value in matchers:
            self.match(metric, label, sign, value)
        return self.exposition.labels(metric)

    def matchers(self):
        self.take("{")
        found = []
        while self.peek() != "}":
            found.append((self.take(), self.take(), json.loads(self.take())))
            if self.peek() == ",":
                self.take()
        self.take("}")
        return found

    def match(self, metric, label, sign, value):
        if label not in self.exposition.labels(metric):
            return self.say(f"`{metric}` has no label `{label}`")
        if label in SCRAPED or "$" in value:
            return None
        for word in value.split("|") if sign in ("=~", "!~") else [value]:
            if word not in self.exposition.values[metric][label]:
                self.say(f"`{metric}` has no series with {label}=\"{word}\"")
        return None


def findings(dashboard, exposition):
    """What is wrong with each query, with the title of where it stands."""
    for title, query, legend in queries(dashboard):
        try:
            read = Query(query, exposition)
        except Unread as why:
            yield f"{title}: {why}: {query}"
            continue
        missing = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend)) - (read.kept or set())
        for finding in read.findings + [f"the legend names `{label}`, which the query does not keep" for label in sorted(missing)]:
            yield f"{title}: {finding}: {query}"


def queries(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target.get("legendFormat", "")
    for note in dashboard["annotations"]["list"]:
        yield f"annotation {note['name']}", note["expr"], ""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
            title = f"variable {variable['name']}"
            yield title, asked[1] if asked else variable["query"]["query"], f"{{{{{asked[2]}}}}}" if asked else ""


def main():
    file = pathlib.Path(sys.argv[1]) if sys.argv[1:] else pathlib.Path(__file__).with_name("weir.json")
    found = list(findings(json.loads(file.read_text()), Exposition(sys.stdin.read())))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
