"""Reads what each published list says of a model, as a `Claim`. Nothing of a package is installed or run: one data file is
read out of the archive."""

import ast
import datetime
import hashlib
import json
import math
import re
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass, field
from decimal import Decimal

MTOK = 1_000_000
DATA = (
    "litellm/model_prices_and_context_window_backup.json", "genai_prices/data.py", "model_prices/snapshot.json",
)


@dataclass
class Rates:
    """USD per million tokens by class, and again for prompts over a number of tokens."""

    base: dict = field(default_factory=dict)
    over: dict = field(default_factory=dict)

    def times(self, factor):
        scaled = lambda rates: {cls: (usd * factor).normalize() for cls, usd in rates.items()}
        return Rates(scaled(self.base), {tokens: scaled(rates) for tokens, rates in self.over.items()})


@dataclass
class Claim:
    """What one source says of one model at one provider."""

    mode: str = "chat"
    ctx: int = 0
    max_input: int = 0
    max_output: int = 0
    caps: set = field(default_factory=set)
    rates: Rates = field(default_factory=Rates)
    tiers: dict = field(default_factory=dict)
    units: list = field(default_factory=list)
    retires_on: str = ""
    responses_only: bool = False


def archive(source, cache):
    """The package's archive in the cache folder, downloaded only if it is not there."""
    plain = source["package"].lstrip("@").replace("/", "-")
    patterns = [f"{plain.replace('-', '_')}-{source['version']}-*.whl", f"{plain}-{source['version']}.tgz"]
    found = [path for pattern in patterns for path in cache.glob(pattern)]
    if not found:
        cache.mkdir(parents=True, exist_ok=True)
        if source["registry"] == "pypi":
            wanted = f"{source['package']}=={source['version']}"
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", wanted]
        else:
            command = ["npm", "pack", "--silent", "--ignore-scripts", f"{source['package']}@{source['version']}"]
        subprocess.run(command, check=True, cwd=cache, stdout=subprocess.DEVNULL)
        found = [path for pattern in patterns for path in cache.glob(pattern)]
    return found[0]


def member(path, name):
    """One file of a wheel or a tarball."""
    if path.suffix == ".whl":
        return zipfile.ZipFile(path).read(name)
    with tarfile.open(path) as tar:
        return tar.extractfile(name).read()


def members(path, prefix):
    with tarfile.open(path) as tar:
        names = [name for name in tar.getnames() if name.startswith(prefix) and name.endswith(".json")]
        return {name[len(prefix):-len(".json")]: tar.extractfile(name).read() for name in names}


def digest(path):
    """What the archive's data hashes to: archives of one version differ from platform to platform."""
    if path.suffix != ".whl":
        data = b"".join(body for _, body in sorted(members(path, "package/dist/providers/data/").items()))
    else:
        data = member(path, next(n for n in DATA if n in zipfile.ZipFile(path).namelist()))
    return hashlib.sha256(data).hexdigest()


def decimal(value, scale=1):
    """The shortest decimal of a float is what its author typed; times the scale it is exact."""
    return (Decimal(str(value)) * scale).normalize()


# litellm ------------------------------------------------------------------------------------------------------------

LITELLM_MODES = {
    "chat": "chat", "responses": "chat", "embedding": "embedding", "image_generation": "image",
    "audio_speech": "speech", "audio_transcription": "transcription", "moderation": "moderation", "rerank": "rerank",
}
LITELLM_CLASSES = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "input.cached",
    "cache_creation_input_token_cost": "input.cache-write.5m",
    "cache_creation_input_token_cost_above_1hr": "input.cache-write.1h",
    "cache_creation_input_token_cost_above_12hr": "input.cache-write.1h",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "output.reasoning",
    "input_cost_per_audio_token": "input.audio",
    "output_cost_per_audio_token": "output.audio",
    "input_cost_per_image_token": "image",
    "output_cost_per_image_token": "output.image",
}
LITELLM_TIERS = {
    "_batches": "batch", "_flex": "flex", "_priority": "priority", "_balanced": "balanced", "_ultrafast": "ultrafast",
}
# What Anthropic takes for all of a request: when it ran at the quicker speed, when it had to stay in the country.
LITELLM_FACTORS = ("fast", "us")
LITELLM_KEY = re.compile(
    f"({'|'.join(sorted(LITELLM_CLASSES, key=len, reverse=True))})"
    f"(?:_above_([0-9]+)k_tokens)?({'|'.join(LITELLM_TIERS)})?"
)
LITELLM_CAPS = {
    "tools": "supports_function_calling", "vision": "supports_vision", "audio-in": "supports_audio_input",
    "audio-out": "supports_audio_output", "json-schema": "supports_response_schema",
    "reasoning": "supports_reasoning", "prompt-cache": "supports_prompt_caching",
    "parallel-tools": "supports_parallel_function_calling",
}
LITELLM_UNITS = {
    "input_cost_per_second": "second", "output_cost_per_second": "second", "input_cost_per_character": "character",
    "input_cost_per_query": "search-unit", "input_cost_per_request": "request", "output_cost_per_image": "image",
    "input_cost_per_image": "image",
}
SIZED = re.compile(r"(?:(low|medium|high|standard)/)?([0-9]+)-x-([0-9]+)/(.+)")


def litellm(path, providers):
    """Claims by (provider, name)."""
    entries = json.loads(member(path, DATA[0]))
    homes = {theirs: (ours, prefix) for ours, row in providers.items() for theirs, prefix in row["litellm"].items()}
    claims, sized = {}, []
    for key, entry in sorted(entries.items()):
        home = homes.get(entry.get("litellm_provider"))
        if home is None or entry.get("mode") not in LITELLM_MODES or key.startswith("ft:"):
            continue
        provider, prefix = home
        # A name is written with its prefix or without; where the prefix is needed, the bare key is a copy.
        if prefix and not key.startswith(prefix):
            continue
        name = key[len(prefix):]
        if match := SIZED.fullmatch(name):
            sized.append((provider, match, entry))
        elif not re.search(r"^(openai|cohere)/", name) or provider not in ("openai", "cohere"):
            claims[provider, name] = litellm_claim(entry)
        elif provider == "cohere":
            claims[provider, name.removeprefix("cohere/")] = litellm_claim(entry)
    for provider, (quality, width, height, name), entry in ((p, m.groups(), e) for p, m, e in sized):
        if (claim := claims.get((provider, name))) and quality and (usd := entry.get("input_cost_per_image")):
            claim.units.append({"unit": "image", "usd": decimal(usd), "size": f"{width}x{height}", "quality": quality})
    return claims


def litellm_claim(entry):
    claim = Claim(
        mode=LITELLM_MODES[entry["mode"]],
        max_input=int(entry.get("max_input_tokens") or 0),
        max_output=int(entry.get("max_output_tokens") or 0),
        caps={cap for cap, flag in LITELLM_CAPS.items() if entry.get(flag)},
        retires_on=entry.get("deprecation_date") or "",
        responses_only=entry["mode"] == "responses",
    )
    for key, value in entry.items():
        match = LITELLM_KEY.fullmatch(key)
        if match is None or value is None:
            continue
        cls, over, tier = match.groups()
        rates = claim.tiers.setdefault(LITELLM_TIERS[tier], Rates()) if tier else claim.rates
        where = rates.over.setdefault(int(over) * 1000, {}) if over else rates.base
        where[LITELLM_CLASSES[cls]] = decimal(value, MTOK)
    if off_peak := entry.get("off_peak_pricing"):
        rates = {LITELLM_CLASSES[k]: decimal(v, MTOK) for k, v in off_peak.items() if k in LITELLM_CLASSES}
        claim.tiers["off-peak"] = Rates(rates)
    factors = {word: Decimal(str(factor)) for word, factor in (entry.get("provider_specific_entry") or {}).items()
               if word in LITELLM_FACTORS}
    if len(factors) > 1:
        factors["-".join(sorted(factors))] = math.prod(factors.values())
    for tier, factor in factors.items():
        claim.tiers[tier] = claim.rates.times(factor)
    claim.units = litellm_units(entry)
    return claim


def litellm_units(entry):
    units = {}
    for key, unit in LITELLM_UNITS.items():
        if entry.get(key):
            units.setdefault(unit, {"unit": unit, "usd": decimal(entry[key])})
    searches = entry.get("search_context_cost_per_query") or {}
    by_size = {size: decimal(searches.get(f"search_context_size_{size}") or 0) for size in ("low", "medium", "high")}
    if len(set(by_size.values())) == 1:
        by_size = {"": by_size["low"]}
    listed = list(units.values())
    for size, usd in by_size.items():
        if usd:
            listed.append({"unit": "search", "usd": usd} | ({"size": size} if size else {}))
    return listed


# genai-prices -------------------------------------------------------------------------------------------------------

GENAI_CLASSES = {
    "input_mtok": "input", "cache_read_mtok": "input.cached", "cache_write_mtok": "input.cache-write.5m",
    "cache_write_1h_mtok": "input.cache-write.1h", "output_mtok": "output", "output_reasoning_mtok": "output.reasoning",
    "input_audio_mtok": "input.audio", "output_audio_mtok": "output.audio", "input_image_mtok": "image",
    "output_image_mtok": "output.image",
}
GENAI_UNITS = {
    "input_audio_hours": ("second", 3600), "audio_hours": ("second", 3600), "input_mchars": ("character", MTOK),
    "requests_kcount": ("request", 1000),
}


def literal(node):
    """Evaluates a data file's expression without running it: calls become dicts with their name under `_`."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        if name == "Decimal":
            return Decimal(node.args[0].value)
        if name == "date":
            return datetime.date(*(arg.value for arg in node.args))
        return {"_": name, **{keyword.arg: literal(keyword.value) for keyword in node.keywords}}
    if isinstance(node, ast.List):
        return [literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {literal(k): literal(v) for k, v in zip(node.keys, node.values)}
    return node.value if isinstance(node, ast.Constant) else ast.unparse(node)


def genai(path):
    """The providers of genai_prices/data.py by id."""
    for statement in ast.parse(member(path, DATA[1])).body:
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


def genai_claim(provider, name, today):
    """What genai-prices says on that day, or None."""
    model = next((m for m in provider["models"] if matches(m["match"], name.lower())), None)
    if model is None:
        return None
    prices = model["prices"]
    claim = Claim()
    if isinstance(prices, list):
        timed = [e for e in prices if (e.get("constraint") or {}).get("_") == "TimeOfDateConstraint"]
        active = [e["prices"] for e in prices if e not in timed and started(e.get("constraint"), today)]
        cheap = genai_rates(active[-1])[0] if active else Rates()
        if timed:
            # The plain entry is the discount, the timed one the hours at the full rate: a bill is at most the latter.
            claim.rates, claim.tiers["off-peak"] = genai_rates(timed[-1]["prices"])[0], cheap
        else:
            claim.rates, claim.units = genai_rates(active[-1]) if active else (cheap, [])
    else:
        claim.rates, claim.units = genai_rates(prices)
    for variant in model.get("price_variants") or []:
        tier = variant["when"].get("service_tier") or variant["when"].get("processing")
        if tier in ("batch", "flex", "priority") and len(variant["when"]) == 1 and started(variant.get("constraint"), today):
            claim.tiers[tier] = genai_rates(variant["prices"])[0]
    return claim


def started(constraint, today):
    return constraint is None or constraint["_"] == "StartDateConstraint" and constraint["start_date"] <= today


def genai_rates(prices):
    rates, units = Rates(), []
    for key, value in prices.items():
        if unit := GENAI_UNITS.get(key):
            if isinstance(value, Decimal):
                units.append({"unit": unit[0], "usd": value / unit[1]})
        elif cls := GENAI_CLASSES.get(key):
            tiered = isinstance(value, dict)
            rates.base[cls] = value["base"] if tiered else value
            for tier in value["tiers"] if tiered else []:
                rates.over.setdefault(tier["start"], {})[cls] = tier["price"]
    return rates, units


# models.dev, as two packages publish it -----------------------------------------------------------------------------

MODEL_PRICES_CLASSES = {
    "input": "input", "output": "output", "cache_read": "input.cached", "cache_write": "input.cache-write.5m",
    "input_audio": "input.audio", "output_audio": "output.audio",
}


def model_prices(path):
    return json.loads(member(path, DATA[2]))


def model_prices_claim(snapshot, provider, name):
    """Its last recorded rates, which are what it says of today."""
    model = snapshot["prices"].get(provider, {}).get(name)
    if model is None or model["standard"][-1]["rates"] is None:
        return None
    claim = Claim(rates=model_prices_rates(model["standard"][-1]["rates"]))
    batch = (model.get("batch") or [{"rates": None}])[-1]["rates"]
    if batch:
        claim.tiers["batch"] = model_prices_rates(batch)
    for schedule in snapshot["schedules"]["schedule"]:
        if schedule["provider"] == provider and not schedule.get("valid_until") and "peak_multiplier" in schedule:
            factor = Decimal(str(schedule["peak_multiplier"]))
            claim.tiers["off-peak"] = claim.rates
            claim.rates = Rates({cls: usd * factor for cls, usd in claim.rates.base.items()})
    return claim


def model_prices_rates(rates):
    found = Rates(flat_rates(rates))
    for tier in rates.get("tiers", []):
        found.over[tier["above"]] = flat_rates(tier)
    for where in [found.base, *found.over.values()]:
        multiple = rates.get("cache_write_1h_multiple")
        if multiple and where.get("input.cache-write.5m"):
            where["input.cache-write.1h"] = where["input"] * Decimal(str(multiple))
    return found


def flat_rates(rates):
    return {cls: decimal(rates[key]) for key, cls in MODEL_PRICES_CLASSES.items() if rates.get(key) is not None}


PI_CLASSES = {"input": "input", "output": "output", "cacheRead": "input.cached", "cacheWrite": "input.cache-write.5m"}


def pi(path, providers):
    """Claims by (provider, name). A zero there means unknown, unless all is free."""
    files = members(path, "package/dist/providers/data/")
    claims = {}
    for ours, row in providers.items():
        for dialect in json.loads(files.get(row.get("pi-ai"), b"{}")).values():
            for model in dialect.values() if isinstance(dialect, dict) else []:
                if model.get("type") == "chat":
                    claims[ours, model["id"]] = pi_claim(model)
    return claims


def pi_claim(model):
    cost = model["cost"]
    claim = Claim(ctx=int(model.get("contextWindow") or 0), max_output=int(model.get("maxTokens") or 0), caps={"tools"})
    if model.get("reasoning"):
        claim.caps.add("reasoning")
    if "image" in model.get("input", []):
        claim.caps.add("vision")
    free = not any(value for key, value in cost.items() if key in PI_CLASSES)

    def rates(of):
        return {cls: decimal(of[key]) for key, cls in PI_CLASSES.items() if of.get(key) or free and key in ("input", "output")}

    claim.rates = Rates(rates(cost), {tier["inputTokensAbove"]: rates(tier) for tier in cost.get("tiers", [])})
    return claim
