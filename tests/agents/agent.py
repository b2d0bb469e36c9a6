"""The agents: how each is pointed at a server on loopback, given a task, and asked what came of it.

An agent sees nothing of the machine but its own folders: no account, no settings, no network beyond loopback.
"""

import json
import os
import pathlib
import signal
import subprocess

from play import TASK

CACHE = pathlib.Path(os.environ.get("WEIR_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "weir")
PROGRAMS = CACHE / "agents/node_modules/.bin"
PATIENCE = float(os.environ.get("AGENT_PATIENCE", 90))


class Claude:
    """Claude Code, which speaks Anthropic Messages. The model's name decides what it asks for."""

    native = "anthropic"

    def __init__(self, name, model):
        self.name, self.model = name, model

    def command(self):
        return [PROGRAMS / "claude", "-p", TASK, "--output-format", "json", "--model", self.model,
                "--dangerously-skip-permissions"]

    def environment(self, home, origin, key):
        return {
            "CLAUDE_CONFIG_DIR": str(home / "claude"), "ANTHROPIC_BASE_URL": origin, "ANTHROPIC_AUTH_TOKEN": key,
            "IS_SANDBOX": "1", "DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_ERROR_REPORTING": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }

    def said(self, output):
        """Its last words, and what it believes it used: (text, input tokens, output tokens)."""
        result = json.loads(output.strip().splitlines()[-1])
        if result.get("is_error") or result.get("subtype") != "success":
            raise AssertionError(f"Claude Code failed: {result.get('subtype')}: {result.get('result')}")
        usage = result["usage"]
        inputs = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        return result.get("result") or "", sum(usage[name] for name in inputs), usage["output_tokens"]


class Codex:
    """Codex CLI, which speaks Responses. The model's name decides which kinds of tools it declares."""

    native = "openai-responses"

    def __init__(self, name, model):
        self.name, self.model = name, model

    def command(self):
        return [PROGRAMS / "codex", "exec", "--json", "--skip-git-repo-check",
                "--dangerously-bypass-approvals-and-sandbox", TASK]

    def environment(self, home, origin, key):
        folder = home / "codex"
        folder.mkdir()
        (folder / "config.toml").write_text("\n".join([
            f'model = "{self.model}"', 'model_provider = "loopback"', "[analytics]", "enabled = false",
            "[model_providers.loopback]", 'name = "loopback"', f'base_url = "{origin}/v1"', 'wire_api = "responses"',
            'env_key = "LOOPBACK_KEY"', "request_max_retries = 0", "stream_max_retries = 0", "",
        ]))
        return {"CODEX_HOME": str(folder), "LOOPBACK_KEY": key}

    def said(self, output):
        events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
        kinds = [event.get("type") for event in events]
        if "turn.completed" not in kinds or "turn.failed" in kinds:
            raise AssertionError(f"Codex failed: {[event for event in events if 'error' in event or event.get('message')]}")
        usage = events[kinds.index("turn.completed")]["usage"]
        items = [event["item"] for event in events if event.get("type") == "item.completed"]
        text = next((item["text"] for item in reversed(items) if item.get("type") == "agent_message"), "")
        return text, usage["input_tokens"], usage["output_tokens"]


# Each with the names of models that make it ask for different things (NOTES.md).
AGENTS = [
    Claude("claude-code", "claude-sonnet-4-5"),             # a budget for thinking
    Claude("claude-code, unknown model", "weir-test"),      # adaptive thinking, effort, system messages in between
    Codex("codex", "gpt-5.5"),                              # functions and a custom tool
    Codex("codex, unknown model", "weir-test"),             # functions and a namespace of them
    Codex("codex, code mode", "gpt-6-sol"),                 # tools in an input item, one custom tool that runs scripts
]


class Ended:
    def __init__(self, status, output, errors):
        self.status, self.output, self.errors = status, output, errors


def run(agent, folder, origin, key, proxy):
    """Runs the agent in `folder/work` until it ends by itself."""
    home = folder / "home"
    home.mkdir()
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(folder), "LANG": "C.UTF-8", "TERM": "dumb",
        "HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost",
    }
    environment |= {name.lower(): value for name, value in environment.items() if name.endswith("_PROXY")}
    environment |= agent.environment(home, origin, key)
    process = subprocess.Popen(agent.command(), cwd=folder / "work", env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    try:
        output, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        return Ended("did not end", output.decode(errors="replace"), errors.decode(errors="replace"))
    return Ended(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))
