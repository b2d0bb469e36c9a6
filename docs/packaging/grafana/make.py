#!/usr/bin/env python3
"""Writes weir.json, the Grafana dashboard, from the rows below: `docs/packaging/grafana/make.py [--check]`.

A panel is a title, a kind, a unit and its queries; where it stands follows from the order. `{}` in a query becomes the
selector of the chosen gateways (`{job=~…, instance=~…}`), `{a="b"}` the same with a matcher more. `--check` writes
nothing and fails if weir.json is not what would be written. tests/sdk/test_dashboard.py tries every query against the
/metrics of a gateway that has served requests.
"""

import json
import pathlib
import re
import sys

FILE = pathlib.Path(__file__).with_name("weir.json")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = 'job=~"$job", instance=~"$instance"'
WIDTH = 24


def rate(metric, matchers=""):
    return f"rate({metric}{{{matchers}}}[$__rate_interval])"


def sums(metric, by="", matchers="", times=""):
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}({rate(metric, matchers)}){times}"


def percentiles(metric, matchers="", of=(0.5, 0.95, 0.99)):
    """One line for each percentile, over all series."""
    return [(f"histogram_quantile({q}, sum by (le) ({rate(metric + '_bucket', matchers)}))", f"p{q * 100:g}") for q in of]


def percentile_by(q, metric, by):
    legend = " / ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return [(f"histogram_quantile({q}, sum by (le, {by}) ({rate(metric + '_bucket')}))", legend)]


def share(part, whole):
    """A share that is 0, not absent, while there is a whole and no part."""
    return f"(sum({rate(*part)}) or vector(0)) / sum({rate(*whole)})"


# Title, kind, unit, columns of 24, queries with their legends, what it says.
ROWS = {
    "At a glance": [
        ("Requests", "stat", "reqps", 4, [(sums("weir_requests_total"), "")], "Exchanges a second."),
        ("Failed", "stat", "percentunit", 4,
         [(share(("weir_requests_total", 'status="5xx"'), ("weir_requests_total",)), "")],
         "Share of exchanges that ended with a status of the 5xx class."),
        ("In flight", "stat", "short", 4, [("sum(weir_requests_in_flight{})", "")], "Exchanges under way."),
        ("First token, p95", "stat", "s", 4, percentiles("weir_time_to_first_token_seconds", of=(0.95,)),
         "Start of an attempt to its first byte of content."),
        ("Charged an hour", "stat", "currencyUSD", 4,
         [(sums("weir_cost_usd_total", matchers='basis="charged"', times=" * 3600"), "")],
         "What callers are charged, at the rate of now."),
        ("Own share, p99", "stat", "s", 4, percentiles("weir_overhead_seconds", of=(0.99,)),
         "What Weir itself adds to an exchange."),
    ],
    "Requests": [
        ("Requests by API and outcome", "timeseries", "reqps", 12,
         [(sums("weir_requests_total", "api, outcome"), "{{api}} {{outcome}}")],
         "outcome: ok, cache_hit, refused, failed, upstream_cut, client_abort."),
        ("Errors to callers", "timeseries", "reqps", 12,
         [(sums("weir_requests_total", "alias, status", 'status=~"4xx|5xx"'), "{{alias}} {{status}}")],
         "By alias and class of status."),
        ("Duration", "timeseries", "s", 8, percentiles("weir_request_duration_seconds"), "Head read to last byte written."),
        ("First token", "timeseries", "s", 8, percentiles("weir_time_to_first_token_seconds"),
         "Start of an attempt to its first byte of content."),
        ("Weir's own share", "timeseries", "s", 8, percentiles("weir_overhead_seconds"),
         "What is neither provider nor caller: tens of microseconds when all is well."),
    ],
    "Tokens and money": [
        ("Tokens", "timeseries", "short", 8, [(sums("weir_tokens_total", "class"), "{{class}}")],
         "A second, by disjoint class."),
        ("Units", "timeseries", "short", 4, [(sums("weir_units_total", "class"), "{{class}}")],
         "A second: images, seconds of audio, characters, search units."),
        ("Money an hour", "timeseries", "currencyUSD", 6,
         [(sums("weir_cost_usd_total", "basis", times=" * 3600"), "{{basis}}")],
         "charged: to callers; provider: what providers take."),
        ("Charged an hour, by model", "timeseries", "currencyUSD", 6,
         [(sums("weir_cost_usd_total", "provider, model", 'basis="charged"', " * 3600"), "{{provider}}/{{model}}")], ""),
        ("Without a price", "timeseries", "reqps", 6,
         [(sums("weir_unpriced_exchanges_total", "provider, model"), "{{provider}}/{{model}}")],
         "Exchanges whose price is unknown: give the target `prices`, or the catalogue an entry."),
        ("Cache", "timeseries", "reqps", 6, [(sums("weir_cache_requests_total", "result"), "{{result}}")],
         "Where alias or request asks for it."),
        ("Cache hits", "timeseries", "percentunit", 6,
         [(share(("weir_cache_requests_total", 'result="hit"'), ("weir_cache_requests_total", 'result=~"hit|miss"')), "hits")],
         "Of the exchanges that looked."),
        ("Cache size", "timeseries", "bytes", 6, [("sum(weir_cache_bytes{})", "bytes")], ""),
    ],
    "Policies": [
        ("Calls by verdict", "timeseries", "ops", 8,
         [(sums("weir_policy_calls_total", "policy, hook, verdict"), "{{policy}} {{hook}} {{verdict}}")], ""),
        ("A call, p50", "timeseries", "s", 4, percentile_by(0.5, "weir_policy_call_duration_seconds", "policy, hook"), ""),
        ("A call, p99", "timeseries", "s", 4, percentile_by(0.99, "weir_policy_call_duration_seconds", "policy, hook"), ""),
        ("Faults", "timeseries", "ops", 4,
         [(sums("weir_policy_faults_total", "policy, hook, kind"), "{{policy}} {{hook}} {{kind}}")],
         "Calls that failed; what follows is the failure mode of the manifest."),
        ("Breakers", "timeseries", "ops", 4,
         [(sums("weir_policy_calls_total", "policy, hook", 'verdict="breaker-open"'), "{{policy}} {{hook}}")],
         "Calls that were not made because the policy failed five times in a row."),
        ("Versions", "table", "short", 10,
         [("max by (policy, version, stage, digest) (weir_policy_info{})", "")],
         "Which version of a policy is at which stage."),
        ("Generation", "timeseries", "short", 4, [("weir_generation{}", "{{instance}}")],
         "Of config and policies; gateways that should agree have the same."),
        ("Pushes, rollbacks, reloads", "timeseries", "short", 10,
         [("sum by (policy, result) (increase(weir_policy_versions_total{}[$__rate_interval]))", "{{policy}} {{result}}"),
          ("sum by (policy, why) (increase(weir_policy_rollbacks_total{}[$__rate_interval]))", "{{policy}} taken back: {{why}}"),
          ("sum by (result) (increase(weir_reloads_total{}[$__rate_interval]))", "reload {{result}}")], ""),
    ],
    "Providers": [
        ("Attempts", "timeseries", "reqps", 6,
         [(sums("weir_attempts_total", "provider, model"), "{{provider}}/{{model}}")], ""),
        ("Failed attempts by class", "timeseries", "reqps", 6,
         [(sums("weir_attempts_total", "provider, model, class", 'class!="ok"'), "{{provider}}/{{model}} {{class}}")],
         "A failed attempt is not billed to the caller; another target may have served the request."),
        ("An attempt, p95", "timeseries", "s", 6, percentile_by(0.95, "weir_attempt_duration_seconds", "provider, model"), ""),
        ("First token, p95", "timeseries", "s", 6, percentile_by(0.95, "weir_time_to_first_token_seconds", "provider, model"), ""),
        ("Breakers of targets", "timeseries", "short", 12,
         [("max by (provider, model) (weir_target_breaker{})", "{{provider}}/{{model}}")], "0 closed, 1 half-open, 2 open."),
        ("Attempts under way", "timeseries", "short", 12,
         [("sum by (provider, model) (weir_target_in_flight{})", "{{provider}}/{{model}}")], ""),
    ],
    "The process": [
        ("In flight", "timeseries", "short", 6,
         [("weir_requests_in_flight{}", "exchanges {{instance}}"), ("weir_connections{}", "connections {{instance}}")], ""),
        ("Ledger", "timeseries", "short", 6,
         [("weir_ledger_queue_depth{}", "postings queued {{instance}}"),
          ("weir_ledger_pending_reservations{}", "reservations open {{instance}}")],
         "A queue that grows says that the disk does not follow."),
        ("Commits of the ledger", "timeseries", "ops", 6,
         [(sums("weir_ledger_commits_total", "instance"), "{{instance}}"),
          (sums("weir_ledger_failed_commits_total", "instance"), "failed {{instance}}")], ""),
        ("A commit", "timeseries", "s", 6, percentiles("weir_ledger_commit_seconds", of=(0.5, 0.99)),
         "From its beginning to the answer of the disk."),
        ("Bodies on the wire", "timeseries", "Bps", 6,
         [(sums("weir_received_bytes_total"), "received"), (sums("weir_sent_bytes_total"), "sent")], ""),
        ("Memory", "timeseries", "bytes", 6,
         [("process_resident_memory_bytes{}", "resident {{instance}}"), ("weir_buffered_bytes{}", "bodies {{instance}}")], ""),
        ("Processor", "timeseries", "short", 6, [(sums("process_cpu_seconds_total", "instance"), "{{instance}}")],
         "Cores that are busy."),
        ("Threads and descriptors", "timeseries", "short", 6,
         [("process_threads{}", "threads {{instance}}"), ("process_open_fds{}", "descriptors {{instance}}"),
          ("process_max_fds{}", "most descriptors {{instance}}")], ""),
        ("Telemetry that waits", "timeseries", "short", 6,
         [("weir_otlp_queue_depth{}", "for the collector {{instance}}"), ("weir_log_queue_bytes{}", "bytes of log lines {{instance}}")],
         "For the collector 8,192 exchanges and lines may wait, for the log 4 MiB."),
        ("Telemetry that was sent", "timeseries", "ops", 6, [(sums("weir_otlp_sent_total", "signal"), "{{signal}}")],
         "Spans, data points and log records that the collector took."),
        ("Telemetry that was lost", "timeseries", "ops", 6,
         [(sums("weir_log_lines_dropped_total"), "log lines"), (sums("weir_completions_dropped_total"), "for complete"),
          (sums("weir_otlp_dropped_total", "signal, reason"), "{{signal}}: {{reason}}")],
         "queue: no room; refused: by the collector; unreachable: there is none."),
        ("Version", "table", "short", 6, [("max by (instance, version) (weir_build_info{})", "")], ""),
    ],
}

HEIGHTS = {"stat": 4, "timeseries": 8, "table": 8}


def main():
    text = written(dashboard())
    if sys.argv[1:] == ["--check"]:
        if not FILE.exists() or FILE.read_text() != text:
            sys.exit(f"{FILE} is not what its maker writes: run {pathlib.Path(__file__).name} and commit both")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        FILE.write_text(text)


def written(whole):
    """JSON with one line for each panel, so that a difference shows which."""
    head = json.dumps({key: value for key, value in whole.items() if key != "panels"}, indent=1)
    return head.removesuffix("\n}") + ',\n "panels": [\n  ' + ",\n  ".join(map(json.dumps, whole["panels"])) + "\n ]\n}\n"


def dashboard():
    return {
        "uid": "weir", "title": "Weir", "description": "A Weir gateway, or several: https://prometheus.io over /metrics.",
        "tags": ["weir", "llm"], "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1,
        "refresh": "30s", "time": {"from": "now-3h", "to": "now"}, "timezone": "browser",
        "annotations": {"list": [swaps()]},
        "templating": {"list": [datasource(), variable("job"), variable("instance", 'job=~"$job"')]},
        "panels": list(panels()),
    }


def panels():
    top, number = 0, 1
    for title, row in ROWS.items():
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
               "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top}}
        top, number, left = top + 1, number + 1, 0
        for each in row:
            height, width = HEIGHTS[each[1]], each[3]
            if left + width > WIDTH:
                top, left = top + height, 0
            yield panel(number, each, {"h": height, "w": width, "x": left, "y": top})
            number, left = number + 1, left + width
        top += height


def panel(number, described, place):
    title, kind, unit, _, queries, says = described
    made = {
        "id": number, "type": kind, "title": title, "description": says, "gridPos": place, "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0} | looks(kind), "overrides": []},
        "options": OPTIONS[kind],
        "targets": [target(kind, letter, *query) for letter, query in zip("ABCDEFG", queries)],
    }
    if kind == "table":
        made["transformations"] = [
            {"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}, "indexByName": {}, "renameByName": {}}},
        ]
    return made


OPTIONS = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "graphMode": "area", "colorMode": "none"},
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
    "table": {"showHeader": True},
}


def looks(kind):
    return {"custom": {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}} if kind == "timeseries" else {}


def target(kind, letter, query, legend):
    asked = {"refId": letter, "datasource": SOURCE, "expr": chosen(query), "legendFormat": legend}
    return asked | ({"instant": True, "format": "table"} if kind == "table" else {"range": True})


def chosen(query):
    """Puts the chosen gateways into every selector."""
    return re.sub(r"\{([^{}]*)\}", lambda found: "{" + ", ".join(filter(None, (CHOSEN, found[1]))) + "}", query)


def swaps():
    """A mark where a generation was swapped in."""
    return {"name": "swaps", "enable": True, "hide": False, "iconColor": "purple", "datasource": SOURCE, "titleFormat": "swap",
            "expr": chosen("changes(weir_generation{}[$__rate_interval]) > 0"), "step": "30s"}


def datasource():
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def variable(label, matcher=""):
    query = f"label_values(weir_build_info{{{matcher}}}, {label})"
    return {"name": label, "type": "query", "datasource": SOURCE, "query": {"query": query, "refId": label}, "definition": query,
            "refresh": 2, "includeAll": True, "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}, "sort": 1}


if __name__ == "__main__":
    main()
