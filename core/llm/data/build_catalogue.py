#!/usr/bin/env python3
"""Builds catalogue.json from two independent price lists that are on PyPI.

    python3 build_catalogue.py [--date YYYY-MM-DD]

Downloads the wheels of `litellm` and `genai-prices` into a temporary folder and reads one data file out of each;
nothing is installed or run. A model goes in only if both know it; a price only if both name it; if they differ by more
than 1 % in any price, or price an alias differently, the build fails and names it. A model whose price depends on the
length of the prompt or the time of day goes in without a price (an explicit unknown): a rate here is one number.
"""

import argparse
import ast
import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile
from decimal import Decimal

TOLERANCE = Decimal("0.01")

# (our provider, name, key in litellm, provider in genai-prices, aliases, abilities neither list knows)
WANTED = [
    ("openai", "gpt-4o", "gpt-4o", "openai", ["gpt-4o-2024-08-06", "gpt-4o-2024-11-20"], ["logprobs"]),
    ("openai", "gpt-4o-mini", "gpt-4o-mini", "openai", ["gpt-4o-mini-2024-07-18"], ["logprobs"]),
    ("openai", "gpt-4.1", "gpt-4.1", "openai", ["gpt-4.1-2025-04-14"], ["logprobs"]),
    ("openai", "gpt-4.1-mini", "gpt-4.1-mini", "openai", ["gpt-4.1-mini-2025-04-14"], ["logprobs"]),
    ("openai", "gpt-4.1-nano", "gpt-4.1-nano", "openai", ["gpt-4.1-nano-2025-04-14"], ["logprobs"]),
    ("openai", "o3", "o3", "openai", ["o3-2025-04-16"], []),
    ("openai", "o3-mini", "o3-mini", "openai", ["o3-mini-2025-01-31"], []),
    ("openai", "o4-mini", "o4-mini", "openai", ["o4-mini-2025-04-16"], []),
    ("openai", "gpt-5", "gpt-5", "openai", ["gpt-5-2025-08-07"], []),
    ("openai", "gpt-5-mini", "gpt-5-mini", "openai", ["gpt-5-mini-2025-08-07"], []),
    ("openai", "gpt-5-nano", "gpt-5-nano", "openai", ["gpt-5-nano-2025-08-07"], []),
    ("openai", "gpt-5-chat-latest", "gpt-5-chat-latest", "openai", [], []),
    ("openai", "gpt-5.1", "gpt-5.1", "openai", ["gpt-5.1-2025-11-13"], []),
    ("openai", "gpt-5.2", "gpt-5.2", "openai", ["gpt-5.2-2025-12-11"], []),
    ("openai", "gpt-5.4-mini", "gpt-5.4-mini", "openai", ["gpt-5.4-mini-2026-03-17"], []),
    ("openai", "gpt-5.4-nano", "gpt-5.4-nano", "openai", ["gpt-5.4-nano-2026-03-17"], []),
    ("deepseek", "deepseek-chat", "deepseek/deepseek-chat", "deepseek", [], ["logprobs"]),
    ("deepseek", "deepseek-reasoner", "deepseek/deepseek-reasoner", "deepseek", [], []),
    ("deepseek", "deepseek-v4-flash", "deepseek/deepseek-v4-flash", "deepseek", [], []),
    ("deepseek", "deepseek-v4-pro", "deepseek/deepseek-v4-pro", "deepseek", [], []),
    ("mistral", "mistral-large-2512", "mistral/mistral-large-2512", "mistral", [], []),
    ("mistral", "mistral-medium-latest", "mistral/mistral-medium-latest", "mistral", [], []),
    ("mistral", "mistral-small-latest", "mistral/mistral-small-latest", "mistral", [], []),
    ("mistral", "codestral-latest", "mistral/codestral-latest", "mistral", [], []),
    ("mistral", "ministral-8b-latest", "mistral/ministral-8b-latest", "mistral", [], []),
    ("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b", "groq", [], []),
    ("groq", "openai/gpt-oss-20b", "groq/openai/gpt-oss-20b", "groq", [], []),
    ("groq", "qwen/qwen3.8-27b", "groq/qwen/qwen3.8-27b", "groq", [], []),
    ("xai", "grok-4.3", "xai/grok-4.3", "x-ai", [], []),
    ("xai", "grok-4.5", "xai/grok-4.5", "x-ai", [], []),
    ("xai", "grok-code-fast-1", "xai/grok-code-fast-1", "x-ai", [], []),
]

# class: (key in litellm, key in genai-prices)
CLASSES = {
    "input": ("input_cost_per_token", "input_mtok"),
    "input.cached": ("cache_read_input_token_cost", "cache_read_mtok"),
    "input.cache-write.5m": ("cache_creation_input_token_cost", "cache_write_mtok"),
    "output": ("output_cost_per_token", "output_mtok"),
    "input.audio": ("input_cost_per_audio_token", "input_audio_mtok"),
    "output.audio": ("output_cost_per_audio_token", "output_audio_mtok"),
}

# ability: flag in litellm
CAPS = {
    "tools": "supports_function_calling",
    "vision": "supports_vision",
    "audio-in": "supports_audio_input",
    "audio-out": "supports_audio_output",
    "json-schema": "supports_response_schema",
    "reasoning": "supports_reasoning",
    "prompt-cache": "supports_prompt_caching",
    "parallel-tools": "supports_parallel_function_calling",
}

# Our simulated provider: the prices are invented, shaped like the market's.
ALL_CAPS = sorted([*CAPS, "logprobs"])
SIM = [
    ("sim-small", 128_000, 16_384, {"input": "0.15", "input.cached": "0.075", "output": "0.6"}),
    ("sim-fast", 128_000, 16_384, {"input": "0.3", "input.cached": "0.075", "output": "1.2"}),
    ("sim-large", 400_000, 128_000, {"input": "2.5", "input.cached": "0.25", "output": "10"}),
]


def download(package, folder):
    """The package's wheel as a zip file, and its version."""
    target = folder / package
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(target), package]
    subprocess.run(command, check=True)
    (wheel,) = target.glob("*.whl")
    return zipfile.ZipFile(wheel), wheel.name.split("-")[1]


def literal(node):
    """Evaluates a data file's expression without running it: calls become dicts with their name under `_`."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        if name == "Decimal":
            return Decimal(node.args[0].value)
        if name == "date":
            return datetime.date(*(arg.value for arg in node.args))
        if node.args:
            return {"_": name, "args": [literal(arg) for arg in node.args]}
        return {"_": name, **{keyword.arg: literal(keyword.value) for keyword in node.keywords}}
    if isinstance(node, ast.List):
        return [literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {literal(k): literal(v) for k, v in zip(node.keys, node.values)}
    if isinstance(node, ast.Constant):
        return node.value
    return ast.unparse(node)


def genai_providers(source):
    """The `providers` list of genai_prices/data.py."""
    for statement in ast.parse(source).body:
        target = getattr(statement, "target", None) or (getattr(statement, "targets", None) or [None])[0]
        if getattr(target, "id", None) == "providers":
            return {provider["id"]: provider for provider in literal(statement.value)}
    raise SystemExit("genai-prices has no list of providers any more")


def matches(clause, name):
    kind = clause["_"]
    if kind == "ClauseOr":
        return any(matches(inner, name) for inner in clause["or_"])
    if kind == "ClauseAnd":
        return all(matches(inner, name) for inner in clause["and_"])
    if kind == "ClauseEquals":
        return name == clause["equals"]
    if kind == "ClauseStartsWith":
        return name.startswith(clause["starts_with"])
    if kind == "ClauseEndsWith":
        return name.endswith(clause["ends_with"])
    if kind == "ClauseContains":
        return clause["contains"] in name
    if kind == "ClauseRegex":
        return re.search(clause["regex"], name) is not None
    raise SystemExit(f"genai-prices has a new clause: {kind}")


def genai_prices(provider, name, today):
    """USD per million tokens as genai-prices has them on that day, or None."""
    model = next((m for m in provider["models"] if matches(m["match"], name.lower())), None)
    if model is None:
        return None
    prices = model.get("prices", [])
    if isinstance(prices, list):
        active = []
        for entry in prices:
            constraint = entry.get("constraint")
            if constraint is None:
                active.append(entry["prices"])
            elif constraint["_"] == "StartDateConstraint":
                if constraint["start_date"] <= today:
                    active.append(entry["prices"])
            else:
                raise Varies("the price depends on the time of day")
        prices = active[-1] if active else {}
    found = {}
    for key, value in prices.items():
        if isinstance(value, dict):
            raise Varies("the price depends on the length of the prompt")
        if isinstance(value, Decimal):
            found[key] = value
    return found


class Refused(Exception):
    """A model that the lists do not agree on."""


class Varies(Exception):
    """A model that one number per class cannot price."""


def decimal_text(value):
    return format(value.normalize(), "f")


def agreed(entry, prices):
    """Prices by class that both lists name."""
    if any("_above_" in key for key in entry if "cost" in key):
        raise Varies("the price depends on the length of the prompt")
    rates = {}
    for cls, (ours, theirs) in CLASSES.items():
        if not entry.get(ours) or not prices.get(theirs):
            continue
        one = Decimal(str(entry[ours])) * 1_000_000
        two = prices[theirs]
        if abs(one - two) > TOLERANCE * max(one, two):
            raise Refused(f"litellm says {one} for {cls}, genai-prices says {two}")
        rates[cls] = decimal_text(two)
    if "input" not in rates or "output" not in rates:
        raise Refused("input and output are not in both lists")
    return rates


def price(litellm, key, provider, name, today):
    """The agreed price of one name."""
    entry, prices = litellm.get(key), genai_prices(provider, name, today)
    if entry is None or prices is None:
        raise Refused(f"{name} is not in both lists")
    return agreed(entry, prices)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    arguments = parser.parse_args()
    today = datetime.date.fromisoformat(arguments.date)
    with tempfile.TemporaryDirectory() as folder:
        wheel, litellm_version = download("litellm", pathlib.Path(folder))
        litellm = json.loads(wheel.read("litellm/model_prices_and_context_window_backup.json"))
        wheel, genai_version = download("genai-prices", pathlib.Path(folder))
        providers = genai_providers(wheel.read("genai_prices/data.py").decode())
    source = f"litellm {litellm_version}, genai-prices {genai_version}"
    models, failures = [], []
    for provider, name, key, genai_provider, aliases, extra in WANTED:
        entry, remark = litellm.get(key), ""
        try:
            rates = price(litellm, key, providers[genai_provider], name, today)
            for alias in aliases:
                if price(litellm, key.replace(name, alias), providers[genai_provider], alias, today) != rates:
                    raise Refused(f"{alias} has another price")
        except Varies as varies:
            rates, remark = {}, f"; unpriced: {varies}"
        except Refused as refused:
            failures.append(f"{provider}/{name}: {refused}")
            continue
        models.append({
            "provider": provider,
            "name": name,
            "aliases": aliases,
            "ctx_tokens": entry.get("max_input_tokens") or 0,
            "max_output_tokens": entry.get("max_output_tokens") or 0,
            "caps": sorted([cap for cap, flag in CAPS.items() if entry.get(flag)] + extra),
            "usd_per_mtok": rates,
            "source": source + remark,
            "checked_on": arguments.date,
        })
    if failures:
        raise SystemExit("not built; take these off the list or settle them:\n  " + "\n  ".join(failures))
    for name, context, output, rates in SIM:
        models.append({
            "provider": "sim", "name": name, "aliases": [], "ctx_tokens": context, "max_output_tokens": output,
            "caps": ALL_CAPS, "usd_per_mtok": rates, "source": "weir-sim", "checked_on": arguments.date,
        })
    rows = ",\n".join("    " + json.dumps(model) for model in models)
    text = f'{{\n  "version": "{arguments.date}",\n  "models": [\n{rows}\n  ]\n}}\n'
    json.loads(text)
    pathlib.Path(__file__).with_name("catalogue.json").write_text(text)
    print(f"{len(models)} models")


if __name__ == "__main__":
    main()
