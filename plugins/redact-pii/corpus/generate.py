#!/usr/bin/env python3
"""Writes the corpora beside this file: per class texts with values in them, and texts with what only looks like one.

Every value is drawn by lot with a fixed seed and belongs to nobody; run it again and the files are the same. Templates are of two
sets: `dev` was looked at while the detectors were written, `held` was not. A line is
{"set", "kind": "value" | "none", "text", "spans": [[class, start, end]]} with offsets in bytes of UTF-8.
"""
import base64
import json
import pathlib
import random
import string
import urllib.parse
import zlib

HERE = pathlib.Path(__file__).parent
PER_TEMPLATE = 8
ALNUM = string.ascii_letters + string.digits
URL = ALNUM + "-_"


def pick(rng, alphabet, count):
    return "".join(rng.choice(alphabet) for _ in range(count))


# ---- values ----

NAMES = "ada bob chen dora elif fatima george hana ivan jose kofi lena maria nils olga pavel quinn rosa sven tomas".split()
FAMILIES = "lovelace okafor smith garcia mueller tanaka ivanova rossi dubois kowalski nguyen silva".split()
DOMAINS = "example.org mail.example.co.uk corp-example.de post.example.fr a1.example.io example.photography xn--bcher-kva.example büro.example".split()


def email(rng):
    first, last = rng.choice(NAMES), rng.choice(FAMILIES)
    local = rng.choice([f"{first}.{last}", f"{first}_{last}{rng.randint(1, 99)}", f"{first[0]}{last}", f"{first}+{rng.choice(['news', 'shop'])}",
                        f"{first}-{last}", f"{rng.randint(10**6, 10**9)}", first.upper() + "." + last.title()])
    return f"{local}@{rng.choice(DOMAINS)}"


def digits(rng, count):
    return pick(rng, string.digits, count)


def phone(rng):
    d = lambda n: digits(rng, n)
    return rng.choice([
        lambda: f"+1 {rng.randint(201, 989)} 555 01{d(2)}", lambda: f"+1-{rng.randint(201, 989)}-555-01{d(2)}",
        lambda: f"+1{rng.randint(201, 989)}55501{d(2)}", lambda: f"({rng.randint(201, 989)}) 555-01{d(2)}",
        lambda: f"{rng.randint(201, 989)}-555-01{d(2)}", lambda: f"{rng.randint(201, 989)}.555.01{d(2)}",
        lambda: f"+44 20 7946 0{d(3)}", lambda: f"+44 (0)20 7946 0{d(3)}", lambda: f"07700 900{d(3)}",
        lambda: f"+49 30 {d(6)}", lambda: f"+49 151 {d(7)}", lambda: f"+49/170/{rng.randint(1, 9)}{d(6)}", lambda: f"0171 {rng.randint(1, 9)}{d(6)}",
        lambda: f"+33 6 {d(2)} {d(2)} {d(2)} {d(2)}", lambda: f"06 {d(2)} {d(2)} {d(2)} {d(2)}", lambda: f"+34 6{d(2)} {d(3)} {d(3)}",
        lambda: f"+39 3{d(2)} {d(7)}", lambda: f"+48 {d(3)} {d(3)} {d(3)}", lambda: f"+81 90-{d(4)}-{d(4)}", lambda: f"090-{d(4)}-{d(4)}",
        lambda: f"+86 138 {d(4)} {d(4)}", lambda: f"+91 9{d(4)} {d(5)}", lambda: f"+55 (11) 9{d(4)}-{d(4)}", lambda: f"(11) 9{d(4)}-{d(4)}",
        lambda: f"+61 4{d(2)} {d(3)} {d(3)}", lambda: f"+380 50 {d(3)} {d(2)} {d(2)}", lambda: f"+971 50 {d(3)} {d(4)}", lambda: f"+7 (9{d(2)}) {d(3)}-{d(2)}-{d(2)}",
    ])()


def luhn_digit(body):
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def card_digits(rng):
    prefix, length = rng.choice([("4", 16), ("4", 19), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15), ("6011", 16),
                                 ("65", 16), ("36", 14), ("305", 14), ("3528", 16), ("62", 16), ("2200", 16)])
    body = prefix + digits(rng, length - len(prefix) - 1)
    return body + luhn_digit(body)


def grouped(number, sign):
    sizes = {14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4), 19: (4, 4, 4, 4, 3)}[len(number)]
    parts, at = [], 0
    for size in sizes:
        parts.append(number[at:at + size])
        at += size
    return sign.join(parts)


def card(rng):
    return grouped(card_digits(rng), rng.choice(["", "", " ", "-"]))


IBANS = {"DE": "n18", "GB": "a4n14", "FR": "n10x11n2", "NL": "a4n10", "ES": "n20", "IT": "a1n10x12", "CH": "n5x12", "AT": "n16", "BE": "n12", "PL": "n24",
         "SE": "n20", "NO": "n11", "TR": "n6x16", "AE": "n19", "MT": "a4n5x18", "BR": "n23a1x1"}


def iban_plain(rng, wrong=False):
    country = rng.choice(sorted(IBANS))
    body, spec = "", IBANS[country]
    for kind, count in __import__("re").findall(r"([nax])(\d+)", spec):
        alphabet = {"n": string.digits, "a": string.ascii_uppercase, "x": string.ascii_uppercase + string.digits}[kind]
        body += pick(rng, alphabet, int(count))
    number = "".join(str(int(c, 36)) for c in body + country + "00")
    check = 98 - int(number) % 97
    if wrong:
        check = (check + rng.randint(1, 90)) % 97 + 1 if (check + 5) % 97 else 3
        if int("".join(str(int(c, 36)) for c in body + country + f"{check:02d}")) % 97 == 1:
            check = check % 97 + 1
    return f"{country}{check:02d}{body}"


def spaced(text):
    return " ".join(text[at:at + 4] for at in range(0, len(text), 4))


def iban(rng):
    plain = iban_plain(rng)
    return rng.choice([plain, spaced(plain)])


def ssn(rng):
    area = rng.choice([n for n in range(1, 999) if n != 666])
    return f"{area:03d}-{rng.randint(1, 99):02d}-{rng.randint(1, 9999):04d}"


def ip(rng):
    if rng.random() < 0.6:
        return ".".join([str(rng.choice([5, 8, 23, 31, 62, 81, 91, 104, 142, 185, 203, 10, 192]))] + [str(rng.randint(0, 255)) for _ in range(2)] + [str(rng.randint(1, 254))])
    groups = [f"{rng.randint(0x2001, 0x2fff):x}"] + [f"{rng.randint(1, 0xffff):x}" for _ in range(7)]
    return rng.choice([":".join(groups), ":".join(groups[:3]) + "::" + groups[3], groups[0] + ":" + groups[1] + "::", f"fe80::{groups[1]}:{groups[2]}",
                       f"::ffff:{rng.randint(1, 223)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.7", f"fd{rng.randint(16, 255):x}:{groups[1]}::{groups[2]}"])


def base62(number):
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    text = ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        text = alphabet[rest] + text
    return text


def summed(rng, prefix, count, with_prefix=False):
    body = pick(rng, ALNUM, count)
    return prefix + body + base62(zlib.crc32(((prefix if with_prefix else "") + body).encode()))


def key(rng):
    hexes = "0123456789abcdef"
    upper = string.ascii_uppercase + string.digits
    p = lambda alphabet, count: pick(rng, alphabet, count - 2) + "7" + pick(rng, ALNUM if alphabet == URL else alphabet, 1)
    return rng.choice([
        lambda: "sk-proj-" + p(URL, 74) + "T3BlbkFJ" + p(URL, 74), lambda: "sk-" + p(ALNUM, 20) + "T3BlbkFJ" + p(ALNUM, 20),
        lambda: "sk-ant-api03-" + p(URL, 93) + "AA", lambda: "sk-or-v1-" + p(hexes, 64), lambda: "AIza" + p(URL, 35), lambda: "AKIA" + p(upper, 16),
        lambda: "ASIA" + p(upper, 16), lambda: summed(rng, "ghp_", 30), lambda: summed(rng, "gho_", 30), lambda: summed(rng, "ghs_", 30),
        lambda: "github_pat_" + p(ALNUM, 22) + "_" + p(ALNUM, 59), lambda: "glpat-" + p(URL, 20), lambda: f"xoxb-{digits(rng, 12)}-{digits(rng, 12)}-{p(ALNUM, 24)}",
        lambda: f"xoxp-{digits(rng, 11)}-{digits(rng, 11)}-{p(hexes, 32)}", lambda: "sk_live_" + p(ALNUM, 24), lambda: "rk_live_" + p(ALNUM, 99),
        lambda: "SG." + p(URL, 22) + "." + p(URL, 43), lambda: "SK" + p(hexes, 32), lambda: summed(rng, "npm_", 30), lambda: "pypi-AgEIcHlwaS5vcmc" + p(URL, 150),
        lambda: "hf_" + pick(rng, string.ascii_letters, 34), lambda: digits(rng, 10) + ":AA" + p(URL, 33),
        lambda: base64.urlsafe_b64encode(digits(rng, 18).encode()).decode() + "." + p(URL, 6) + "." + p(URL, 38), lambda: summed(rng, "weir_sk_", 43, True),
        lambda: "gsk_" + p(ALNUM, 52), lambda: "xai-" + p(ALNUM, 80), lambda: "dop_v1_" + p(hexes, 64), lambda: "shpat_" + p(hexes, 32),
        lambda: "ya29." + p(URL, 68), lambda: "GOCSPX-" + p(URL, 28), lambda: "r8_" + p(ALNUM, 37), lambda: p(ALNUM, 3) + "8Q~" + p(ALNUM, 34),
    ])()


def b64(rng, count):
    return base64.b64encode(rng.randbytes(count)).decode()


def private_key(rng):
    label, size = rng.choice([("PRIVATE KEY", 138), ("EC PRIVATE KEY", 121), ("RSA PRIVATE KEY", 608), ("OPENSSH PRIVATE KEY", 399), ("ENCRYPTED PRIVATE KEY", 239)])
    body = b64(rng, size)
    lines = "\n".join(body[at:at + 64] for at in range(0, len(body), 64))
    headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC," + pick(rng, "0123456789ABCDEF", 32) + "\n\n" if label == "RSA PRIVATE KEY" and rng.random() < 0.3 else ""
    return f"-----BEGIN {label}-----\n{headers}{lines}\n-----END {label}-----"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(rng):
    header = rng.choice([{"alg": "HS256", "typ": "JWT"}, {"alg": "RS256", "kid": pick(rng, ALNUM, 10), "typ": "JWT"}, {"typ": "JWT", "alg": "ES256"}])
    claims = {"sub": pick(rng, ALNUM, 12), "iat": rng.randint(10**9, 2 * 10**9), "scope": rng.choice(["read", "read write", "admin"])}
    return ".".join([b64url(json.dumps(header, separators=(",", ":")).encode()), b64url(json.dumps(claims).encode()), b64url(rng.randbytes(rng.choice([32, 64, 256])))])


# ---- what only looks like one ----

def not_email(rng):
    name = rng.choice(NAMES)
    return rng.choice([f"@{name} said", f"{name} @ home", f"icon@2x.png", f"left-pad@1.{rng.randint(0, 9)}.{rng.randint(0, 9)}", f"git@github.com:{name}/tools.git", f"{name}@localhost",
                       f"@{name}/core", f"5@3.50 each", f"user@{name}", f"{name}@.org", f"react@18.2.0-beta.{rng.randint(1, 9)}", f"logo@3x.webp", f"a@b", f"SELECT @{name}.id"])


def not_phone(rng):
    d = lambda n: digits(rng, n)
    return rng.choice([f"order 112-{d(7)}-{d(7)}", f"2024-0{rng.randint(1, 9)}-1{d(1)}", f"1{rng.randint(0, 9)}.0{rng.randint(1, 9)}.2024", f"978-3-16-{d(6)}-0", f"v{d(1)}.{d(2)}.{d(3)}",
                       f"invoice 10{d(8)}", f"{d(3)},{d(3)},{d(3)} rows", f"+{d(2)}.5 %", f"id={d(10)}", f"17000{d(8)}", f"{rng.randint(10, 99)}:{d(2)}:{d(2)}.{d(6)}",
                       f"part {rng.randint(100, 199)}-{d(3)}-{d(4)}", f"0.{d(10)}", f"${d(3)}.{d(2)}", f"#{d(7)}", f"+{rng.randint(1, 9)}{d(2)} lines", f"{d(5)}-{d(4)} ZIP", f"0x{d(8)}",
                       f"EAN 400{d(10)}", f"{rng.randint(1, 31):02d}/0{rng.randint(1, 9)}/2025 10:30", f"SKU-555-{d(3)}-A"])


def not_card(rng):
    right = card_digits(rng)
    wrong = right[:-1] + str((int(right[-1]) + rng.randint(1, 9)) % 10)
    return rng.choice([grouped(wrong, ""), grouped(wrong, " "), grouped(wrong, "-"), "0." + right, "0000000000000000", "1234567890123456", f"17{digits(rng, 11)}", f"20241128{digits(rng, 6)}",
                       f"{pick(rng, '0123456789abcdef', 8)}-{pick(rng, '0123456789abcdef', 4)}-4{pick(rng, '0123456789abcdef', 3)}-a{pick(rng, '0123456789abcdef', 3)}-{pick(rng, '0123456789abcdef', 12)}",
                       f"a{right}", f"{right}b", f"9{digits(rng, 15)}", f"{right}{digits(rng, 6)}", f"7{digits(rng, 15)}", f"1.{right}"])


def not_iban(rng):
    wrong = iban_plain(rng, wrong=True)
    return rng.choice([wrong, spaced(wrong), wrong[:-1], f"X{iban_plain(rng)}", f"ZZ{digits(rng, 20)}", f"AB12 CD34", f"DE{digits(rng, 9)}", f"US12 3456 7890", f"{iban_plain(rng)}9"])


def not_ssn(rng):
    d = lambda n: digits(rng, n)
    return rng.choice([f"000-12-{d(4)}", f"666-45-{d(4)}", f"123-00-{d(4)}", f"123-45-0000", f"{d(4)}-{d(2)}-{d(2)}", f"{d(3)}-{d(2)}-{d(3)}", f"{d(3)}-{d(2)}-{d(5)}", f"9-{d(3)}-{d(2)}-{d(4)}",
                       f"{d(3)}-{d(2)}-{d(4)}-{d(2)}", f"A{d(3)}-{d(2)}-{d(4)}", f"{d(3)} {d(2)} {d(4)} units", f"{d(9)}", f"{d(3)}.{d(2)}.{d(4)}"])


def not_ip(rng):
    small = lambda: str(rng.randint(0, 20))
    four = ".".join(small() for _ in range(4))
    return rng.choice([f"version {four}", f"v{four}", f"Chrome/120.0.6099.{rng.randint(1, 250)}", f"package=={four}", f"{four}.{small()}", f"256.1.1.{small()}", f"1.3.6.1.4.1.{small()}", f"§ {four}".replace("§ ", "§"),
                       "std::vec", "dead::beef", f"{rng.randint(10, 23)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}", "00:1a:2b:3c:4d:5e", "127.0.0.1", "::1", "0.0.0.0", "255.255.255.0", f"tool-{four}.tar.gz",
                       f"Section {four}", "a::b::c", "01.02.03.04", f"firmware {four}", f"release {four}-rc1", "fe:ed:be:ef", "10:20:30:40:50:60:70"])


def not_key(rng):
    return rng.choice(["sk-learn-compatible-estimators-library", "sk-your-api-key-here", "ghp_" + "x" * 36, "AKIA-like", "sk_test", "task-proj-abcdefghijklmnopqrstuvwxyz", "hf_transformers",
                       "xoxb-your-token-here", pick(rng, "0123456789abcdef", 40), "AKIA" + pick(rng, string.ascii_uppercase, 20), "npm_config_registry_url_for_installs", "glpat-<token>",
                       "AIzaSy" + "X" * 10, "sk-ant-api03-" + "x" * 80, "pypi-server-with-authentication", "SG.short.key", "sk-proj-...", "risk-" + pick(rng, string.ascii_lowercase, 32),
                       "desk_live_support_rotation_schedule", "sha256:" + pick(rng, "0123456789abcdef", 64), "github_pat_", "ghp_" + pick(rng, ALNUM, 20), "hf_" + "a" * 34])


def not_private_key(rng):
    return rng.choice(["-----BEGIN CERTIFICATE-----\n" + b64(rng, 96) + "\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----\n" + b64(rng, 96) + "\n-----END PUBLIC KEY-----",
                       "a line `-----BEGIN PRIVATE KEY-----` and one `-----END PRIVATE KEY-----`", "-----BEGIN PRIVATE KEY----- is how it starts", "---- BEGIN SSH2 PUBLIC KEY ----", "BEGIN PRIVATE KEY",
                       "----------", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", "-----BEGIN PGP SIGNATURE-----\n\n" + b64(rng, 60) + "\n-----END PGP SIGNATURE-----"])


def not_jwt(rng):
    token = jwt(rng)
    head, claims, signature = token.split(".")
    return rng.choice([head, "eyJ" + pick(rng, URL, 30) + ".eyJ" + pick(rng, URL, 30) + "." + pick(rng, URL, 43), b64url(b'{"typ":"JWT"}') + "." + claims + "." + signature, f"a.b.c", f"{head} {claims}",
                       f"window.document.body", b64url(b'{"a":1}') + ".x.y", f"{head}.{claims[:2]}", "eyJ.eyJ.abc"])


# ---- where they stand ----

DEV = ["Please write to {} today.", '{{"id": 7, "value": "{}", "ok": true}}', "2024-11-28T10:15:00Z INFO request from={} status=200", "const value = '{}';", "name;{};city", "Bitte an {}, danke.",
       "Mon contact : {} (merci).", "{}", "see <{}> or ask", "value={}\n"]
HELD = ["Customer said: \"my details are {}\" and hung up.", "| Ada | {} | open |", "    return check(\"{}\")  # todo", "Oct 11 22:14:15 host app[123]: user={} action=login", "- {}\n- none\n", "Меня интересует {} и всё.",
        "連絡先は{}です。", "Puede usar {}; gracias.", "<td>{}</td>", "'{}',42,'x'", "data: {{\"delta\":\"{}\"}}", "[{}](#)"]
TOLD = ["Tel. {}", "phone: {}", '"mobile": "{}"', "Rufen Sie an: {}", "call me at {} please", "téléphone {}", "電話 {}"]


def plain_told(rng):
    return rng.choice([lambda: f"030 {rng.randint(2, 9)}{digits(rng, 5)}", lambda: f"0{rng.randint(2, 9)}{digits(rng, 8)}", lambda: f"{rng.randint(2, 9)}{digits(rng, 6)}",
                       lambda: f"0{rng.randint(21, 99)}/{rng.randint(2, 9)}{digits(rng, 5)}"])()


def filled(template, value, shown=None):
    """The text, and where the value is."""
    before, after = (part.replace("{{", "{").replace("}}", "}") for part in template.split("{}", 1))
    shown = value if shown is None else shown
    start = len(before.encode())
    return before + shown + after, start, start + len(shown.encode())


def escaped(value):
    return "".join(f"\\u{ord(c):04x}" if c in "@+.:" else c for c in value)


def lines(rng, name, make, make_not):
    is_block = name == "private-key"
    for which, templates in (("dev", DEV), ("held", HELD)):
        for template in templates:
            for _ in range(PER_TEMPLATE):
                value = make(rng)
                shown = json.dumps(value)[1:-1] if is_block and ('"' in template or "'" in template) else value
                yield which, "value", filled(template, value, shown), name
                yield which, "none", filled(template, make_not(rng)), None
        if name == "phone":
            for template in TOLD:
                yield which, "value", filled(template, plain_told(rng)), name
        for _ in range(PER_TEMPLATE * 2):
            value = make(rng)
            encodings = [("see https://x.example/?q={}&z=1", urllib.parse.quote(value, safe="")), ("{{\"payload\": \"{}\"}}", base64.b64encode(f"id: {value}".encode()).decode()),
                         ("token {} end", b64url(f"my {value} !".encode()))]
            if not is_block:
                encodings += [('{{"body": "{}"}}', escaped(value)), ("cut {} here", value[:3] + "\u200b" + value[3:])]
            template, shown = rng.choice(encodings)
            if len(shown) < 4000:
                yield which, "value", filled(template, value, shown), name


MAKERS = {"email": (email, not_email), "phone": (phone, not_phone), "card": (card, not_card), "iban": (iban, not_iban), "ssn": (ssn, not_ssn), "ip": (ip, not_ip), "key": (key, not_key),
          "private-key": (private_key, not_private_key), "jwt": (jwt, not_jwt)}


def main():
    for name, (make, make_not) in MAKERS.items():
        rng = random.Random(f"weir {name}")
        with open(HERE / f"{name}.jsonl", "w", encoding="utf-8") as out:
            for which, kind, (text, start, end), found in lines(rng, name, make, make_not):
                spans = [[found, start, end]] if found else []
                out.write(json.dumps({"set": which, "kind": kind, "text": text, "spans": spans}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
