"""Runs the test modules named on the command line and prints TAP, which tests/run counts.

    python3 tests/e2e/tap.py test_clients [test_other ...] [--only PART-OF-NAME]
"""

import faulthandler
import pathlib
import sys
import time
import traceback
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import harness  # noqa: E402


class Tap(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.number = 0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def say(self, test, good, note="", text=""):
        self.number += 1
        name = test.id().split(".", 1)[-1] if hasattr(test, "id") else str(test)
        spent = time.monotonic() - getattr(self, "started", time.monotonic())
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}{note}" + (f" ({spent:.1f} s)" if good else ""))
        for line in text.rstrip().splitlines():
            print("# " + line)
        if not good:
            for server in harness.RUNNING:
                print("# server log, last lines:")
                for line in server.log().splitlines()[-40:]:
                    print("#   " + line[:500])
        sys.stdout.flush()

    def addSuccess(self, test):
        self.say(test, True)

    def addSkip(self, test, reason):
        self.number += 1
        print(f"ok {self.number} # SKIP {test.id().split('.', 1)[-1]}: {reason}", flush=True)

    def _failed(self, test, err):
        self.say(test, False, text="".join(traceback.format_exception(*err)))

    addFailure = addError = _failed

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.say(subtest, False, text="".join(traceback.format_exception(*err)))
            self.failures.append((subtest, ""))


def main():
    faulthandler.enable()
    names, only = sys.argv[1:], None
    if "--only" in names:
        at = names.index("--only")
        only = names[at + 1]
        del names[at:at + 2]
    suite = unittest.TestSuite()
    loader = unittest.defaultTestLoader
    if only:
        loader.testNamePatterns = [f"*{only}*"]
    for name in names:
        suite.addTests(loader.loadTestsFromName(name))
    result = Tap()
    suite.run(result)
    print(f"1..{result.number}")


if __name__ == "__main__":
    main()
