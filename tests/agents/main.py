"""Every agent through every upstream: one line each; the last line is `N passed, N failed`.

    run [--direct] [--facts] [AGENT] [UPSTREAM]

`--direct` points the agents at upstreams of their own dialect, without a gateway: what fails there is no fault of
Weir's. `--facts` prints what the agents send, without what they say. The arguments pick by part of the name.
"""

import argparse
import base64
import json
import pathlib
import secrets
import shutil
import struct
import sys
import tempfile
import zlib

import agent as agents
import facts
from play import PICTURE, Play
from tap import Tap
from upstream import WIRES, Nowhere, Upstream

TESTS = pathlib.Path(__file__).parents[1]
LAST = agents.CACHE / "agents/last"
# What the provider calls the model: names that the catalogue knows, so that its abilities are known too.
SERVED = {"openai-chat": "scripted/gpt-4.1", "openai-responses": "openai/gpt-5",
          "anthropic": "anthropic/claude-sonnet-4-5", "gemini": "gemini/gemini-2.5-pro"}
TOKENS = (50, 20)       # that each turn uses, in and out, whatever the dialect


class Through:
    """A gateway in front of one upstream, under every model name that the agents use."""

    def __init__(self, dialect):
        sys.path.insert(0, str(TESTS / "sdk"))
        import harness
        self.upstream = Upstream(dialect, key=harness.UPSTREAM_KEY)
        provider = {"base_url": self.upstream.base_url, "dialect": dialect, "keys": ["${env:UPSTREAM_KEY}"]}
        models = {each.model: {"targets": [SERVED[dialect]], "retries": 0} for each in agents.AGENTS}
        providers = {SERVED[dialect].partition("/")[0]: provider}
        self.gateway, self.eventually = harness.Gateway({"providers": providers, "models": models}), harness.eventually
        self.origin, self.key = f"http://127.0.0.1:{self.gateway.port}", self.gateway.key
        self.tap = Tap(self.origin)
        self.booked = 0

    def unbooked(self, turns):
        """What the ledger should say by now and does not."""
        self.booked += turns * sum(TOKENS)
        def total():
            return sum(sum(row["tokens"].values()) for row in self.gateway.usage().values())
        try:
            self.eventually(lambda: total() == self.booked, "the ledger is right", patience=3.0)
        except AssertionError:
            wanted, self.booked = self.booked, total()
            return [f"the ledger has {self.booked} tokens, not {wanted}"]
        return []

    def log(self):
        return self.gateway.log_path.read_text(errors="replace")

    def stop(self):
        self.tap.stop()
        try:
            self.gateway.finish()
        finally:
            self.upstream.stop()


class Direct:
    """An upstream with nothing before it."""

    tap = None

    def __init__(self, dialect):
        self.upstream = Upstream(dialect)
        self.origin, self.key = self.upstream.origin, "key-of-the-agent"

    def unbooked(self, _turns):
        return []

    def log(self):
        return ""

    def stop(self):
        self.upstream.stop()


def secret():
    """Something that suffers from wrong escaping, wrong splitting and wrong counting."""
    return f"begin-{secrets.token_hex(6)} “zébra” \\n \"{secrets.token_hex(2)}\" \\ 🦀 <&> $HOME `x`-end"


def png():
    """A picture of four by four pixels like no other."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + secrets.token_bytes(12) for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def loop(agent, place, origin, proxy):
    """One agent's task. What went wrong, the play, and how the agent ended."""
    base = agents.CACHE / "agents/runs"         # Codex does not like its home to be in the system's temporary folder
    base.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(dir=base))
    try:
        (folder / "work").mkdir()
        wanted = [secret(), secret()]
        for name, text in zip(("secret.txt", "second.txt"), wanted):
            (folder / "work" / name).write_text(text + "\n")
        picture = png()
        (folder / "work" / PICTURE).write_bytes(picture)
        shown = base64.b64encode(picture).decode()
        play = Play(place.upstream.dialect, secrets.token_hex(4), wanted, shown, str(folder / "work"))
        place.upstream.begin(play)
        ended = agents.run(agent, folder, origin, place.key, proxy.url)
        wrong = verdict(agent, play, ended, folder / "work/out.txt", wanted)
        return wrong + place.unbooked(len(play.said) + play.side), play, ended
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def verdict(agent, play, ended, out, wanted):
    wrong = list(play.wrong)
    if not play.ended:
        wrong.append(f"the loop stopped after {len(play.said)} turns of {play.TURNS}")
    try:
        said, *used = agent.said(ended.output)
        if play.farewell not in said:
            wrong.append(f"its last words are {said!r}, not {play.farewell!r}")
        turns = len(play.said)      # Claude Code leaves out what it asked beside the loop.
        if used != [tokens * turns for tokens in TOKENS]:
            wrong.append(f"it counts {used} tokens in and out in {turns} turns of {TOKENS}")
    except (AssertionError, ValueError, IndexError, KeyError) as error:
        wrong.append(str(error) or repr(error))
    if ended.status != 0:
        wrong.append(f"its exit status is {ended.status}")
    expected = "".join(text[::-1] + "\n" for text in wanted)
    if not out.exists():
        wrong.append("out.txt was not written")
    elif out.read_text() != expected:
        wrong.append(f"out.txt is {out.read_text()!r}, not {expected!r}")
    return wrong


def keep(title, each, place, proxy):
    """Does it again, now with a tap before the gateway, and keeps all that was said: for who looks for the reason."""
    place.tap and place.tap.exchanges.clear()
    _, _, ended = loop(each, place, place.tap.origin if place.tap else place.origin, proxy)
    LAST.mkdir(parents=True, exist_ok=True)
    path = LAST / (title.replace(", ", "-").replace(" ", "-").replace("×", "x") + ".json")
    record = {"agent": {"status": ended.status, "output": ended.output, "errors": ended.errors},
              "at_gateway": place.tap.exchanges if place.tap else None, "at_upstream": place.upstream.exchanges,
              "log": [line for line in place.log().splitlines()][-200:]}
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False))
    return path


def matrix(options):
    for dialect in WIRES:
        if options.upstream not in dialect:
            continue
        chosen = [each for each in agents.AGENTS if options.agent in each.name]
        if options.direct:
            chosen = [each for each in chosen if each.native == dialect]
        if chosen:
            yield dialect, chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--facts", action="store_true")
    parser.add_argument("agent", nargs="?", default="")
    parser.add_argument("upstream", nargs="?", default="")
    options = parser.parse_args()
    passed = failed = 0
    proxy = Nowhere()
    shutil.rmtree(LAST, ignore_errors=True)
    for dialect, chosen in matrix(options):
        try:
            place = Direct(dialect) if options.direct else Through(dialect)
        except AssertionError as error:
            failed += len(chosen)
            print(f"FAILED all × {dialect}: no gateway: {str(error)[:600]}", flush=True)
            continue
        try:
            for each in chosen:
                title = f"{each.name} × {dialect}"
                wrong, play, _ = loop(each, place, place.origin, proxy)
                passed, failed = passed + (not wrong), failed + bool(wrong)
                notes = f"  ({'; '.join(play.notes)})" if play.notes else ""
                print(f"{'FAILED' if wrong else 'ok':6} {title}{notes}", flush=True)
                for text in wrong:
                    print(f"         {text[:600]}")
                if wrong:
                    print(f"         all of it: {keep(title, each, place, proxy)}", flush=True)
                if options.facts:
                    facts.show(place.upstream.exchanges)
        finally:
            try:
                place.stop()
            except AssertionError as error:
                failed += 1
                print(f"FAILED the gateway before {dialect}: {error}", flush=True)
    if proxy.wanted:
        print(f"beyond loopback, refused: {', '.join(sorted(set(proxy.wanted)))}")
    proxy.stop()
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
