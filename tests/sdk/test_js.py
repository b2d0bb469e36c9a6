"""The JavaScript SDKs, driven by `js/main.js`: each test here is one SDK and one provider; its failures name the scenarios."""

import os
import pathlib
import shutil
import subprocess
import unittest

from matrix import PROVIDERS, World

HERE = pathlib.Path(__file__).parent / "js"
PACKAGES = os.environ.get("WEIR_JS", str(HERE))
CLIENTS = ("openai chat", "openai responses", "anthropic", "ai, openai", "ai, openai chat", "ai, anthropic")


def setUpModule():
    if not shutil.which("node") or not os.path.isdir(f"{PACKAGES}/node_modules/openai"):
        raise unittest.SkipTest("node or the packages are missing: `.ci/setup test` installs them")
    World.start()


def run(url, key, provider, client):
    """The lines of failed tests, and how many passed."""
    environment = os.environ | {"WEIR_URL": url, "WEIR_KEY": key, "WEIR_PROVIDERS": provider, "WEIR_JS": PACKAGES, "AI_SDK_LOG_WARNINGS": "false"}
    done = subprocess.run(["node", HERE / "main.js", client], capture_output=True, text=True, timeout=120, env=environment, stdin=subprocess.DEVNULL)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "not ok "))]
    failed = [line for line in lines if line.startswith("not ok ")]
    assert lines and bool(failed) == bool(done.returncode), done.stdout[-2000:] + done.stderr[-2000:]
    return failed, len(lines) - len(failed)


class JavaScript(unittest.TestCase):
    def __str__(self):
        return self._testMethodName.removeprefix("test ")

    def pair(self, client, provider):
        if provider not in World.known:
            self.fail(f"this gateway does not know the dialect {PROVIDERS[provider].dialect}")
        World.upstream.reset()
        failed, passed = run(World.gateway.url, World.gateway.key, provider, client)
        if failed:
            self.fail("\n".join([f"{passed} passed", *failed]))
        for request in World.upstream.requests:
            self.assertNotIn(World.gateway.key, str(request.headers))
            if request.seen and request.seen.model.endswith("-slow"):
                self.assertTrue(request.gone.wait(2), "the provider was not told that the caller left")


for _client in CLIENTS:
    for _provider in PROVIDERS:
        setattr(JavaScript, f"test {_client} (js)→{_provider}", lambda self, c=_client, p=_provider: self.pair(c, p))


if __name__ == "__main__":
    unittest.main()
