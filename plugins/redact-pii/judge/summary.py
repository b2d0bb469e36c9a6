"""The figures of a run of the judge, as one line of JSON."""
import json
import pathlib
import sys


def load(path):
    return json.loads(path.read_text()) if path.exists() else None


def main():
    out = pathlib.Path(sys.argv[1])
    ci = next((load(path) for path in sorted((out / "ci").glob("*.json")) if "verdict" in path.read_text()), None)
    rows = load(out / "v2" / "summary.json")
    row = (rows["rows"] if isinstance(rows, dict) and "rows" in rows else rows or [{}])[0]
    partial = load(out / "v2" / "weir.partial-emission.json") or {}
    keys = ("leak_single_chunk", "leak_adversarial", "delta_frag", "fidelity_rate", "inconclusive", "cases_applicable", "outcome", "request_path_leak")
    print(json.dumps({
        "ci": ci and {"verdict": ci.get("verdict"), "entities": ci.get("entities"), "checks": ci.get("required_checks")},
        "v2": {key: row.get(key) for key in keys},
        "partial": partial.get("metrics", partial),
    }))


if __name__ == "__main__":
    main()
