"""Runs the tests of this folder. The last line is `N passed, N failed`."""

import pathlib
import sys
import unittest


def main(names):
    here = str(pathlib.Path(__file__).parent)
    loader = unittest.defaultTestLoader
    sys.path.insert(0, here)
    suite = loader.loadTestsFromNames(names) if names else loader.discover(here)
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
    # A failed sub-test, or a failed set-up, has no success of its own to be counted against.
    wrong = {str(getattr(test, "test_case", test)) for test, _ in result.failures + result.errors}
    wrong |= {str(test) for test in result.unexpectedSuccesses}
    for test, why in result.skipped:
        print(f"skipped: {test}: {why}")
    for test, _ in result.expectedFailures:
        print(f"known to fail: {test}")
    passed = result.testsRun - len(wrong) - len(result.skipped) - len(result.expectedFailures)
    print(f"{max(passed, 0)} passed, {len(wrong)} failed", flush=True)
    return 1 if wrong or not result.testsRun else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
