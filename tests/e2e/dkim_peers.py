#!/usr/bin/python3
"""DKIM and ARC by programs of others, many messages in one process: dkimpy (python3-dkim) and OpenDKIM's
library. Debian's Python runs it, since their modules are its own.

    echo JOB | /usr/bin/python3 tests/e2e/dkim_peers.py

JOB is JSON: {"peer": "dkimpy" or "opendkim", "do": "verify", "sign", "arc-verify" or "arc-sign", "files": [...],
"records": {name: text}, and for signing "domain", "selector", "key": file, "algorithm", "canon": [[header, body] of
each file], "output": folder}. The answer is a JSON list: for verify of each file the list of [selector, passed] in the
order of the fields; for arc-verify the cv; for the others whether it went well. An answer of null: the peer is missing.
"""

import base64
import ctypes
import json
import pathlib
import re
import sys
import tempfile

OPENDKIM = "libopendkim.so.11"


def pem_body(path):
    return base64.b64decode("".join(line for line in pathlib.Path(path).read_text().splitlines() if "--" not in line))


def selectors(message):
    """s= of each DKIM-Signature, in order."""
    header = re.split(rb"\r?\n\r?\n", message, maxsplit=1)[0]
    fields = re.findall(rb"(?mi)^dkim-signature[ \t]*:((?:.*\r?\n?)(?:[ \t].*\r?\n?)*)", header)
    return [re.search(rb"(?:^|[;\s])s\s*=\s*([^;\s]+)", field).group(1).decode("latin-1")
            if re.search(rb"(?:^|[;\s])s\s*=\s*([^;\s]+)", field) else "?" for field in fields]


class Dkimpy:
    def __init__(self, job):
        import dkim
        self.dkim, self.job = dkim, job
        self.records = {name.rstrip("."): text.encode() for name, text in job.get("records", {}).items()}

    def find(self, name, timeout=5):
        return self.records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))

    def verify(self, message, _):
        results = []
        for number, selector in enumerate(selectors(message)):
            try:
                passed = self.dkim.DKIM(message).verify(idx=number, dnsfunc=self.find)
            except Exception:  # what it raises is not documented
                passed = False
            results.append([selector, bool(passed)])
        return results

    def key(self):
        if self.job["algorithm"] == "ed25519-sha256":
            return base64.b64encode(pem_body(self.job["key"])[-32:])
        return pathlib.Path(self.job["key"]).read_bytes()

    def sign(self, message, canon):
        made = self.dkim.DKIM(message).sign(
            self.job["selector"].encode(), self.job["domain"].encode(), self.key(),
            canonicalize=tuple(part.encode() for part in canon),
            signature_algorithm=self.job["algorithm"].encode())
        return made + message

    def arc_verify(self, message, _):
        cv, _, comment = self.dkim.ARC(message).verify(dnsfunc=self.find)
        return [cv.decode() if isinstance(cv, bytes) else str(cv), comment]

    def arc_sign(self, message, _):
        made = self.dkim.ARC(message).sign(self.job["selector"].encode(), self.job["domain"].encode(), self.key(),
                                           self.job["srv_id"].encode())
        return b"".join(made) + message


class OpenDkim:
    """libopendkim by its C interface (dkim.h of 2.11)."""
    SETOPT, QUERYMETHOD, QUERYINFO, MINKEYBITS = 1, 6, 7, 14
    CANONS = {"simple": 0, "relaxed": 1}
    ALGORITHMS = {"rsa-sha256": 1, "ed25519-sha256": 2}
    PASSED = 4

    def __init__(self, job):
        self.job = job
        self.lib = ctypes.CDLL(OPENDKIM)
        for name in ("dkim_init", "dkim_verify", "dkim_sign", "dkim_sig_getselector"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.lib.dkim_sig_getselector.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p(self.lib.dkim_init(None, None))
        self.records = tempfile.NamedTemporaryFile("w", suffix=".records")
        for name, text in job.get("records", {}).items():
            self.records.write(f"{name.rstrip('.')} {text}\n")
        self.records.flush()
        self.set_int(self.QUERYMETHOD, 1)
        self.info = ctypes.create_string_buffer(self.records.name.encode())
        self.lib.dkim_options(self.handle, self.SETOPT, self.QUERYINFO, self.info, ctypes.c_size_t(len(self.info)))

    def set_int(self, option, value):
        number = ctypes.c_int(value)
        self.lib.dkim_options(self.handle, self.SETOPT, option, ctypes.byref(number), ctypes.c_size_t(4))

    def feed(self, dkim, message):
        header, _, body = message.partition(b"\r\n\r\n")
        for field in re.split(rb"\r\n(?![ \t])", header.removesuffix(b"\r\n")):
            if self.lib.dkim_header(dkim, field, ctypes.c_size_t(len(field))) != 0:
                return False
        if self.lib.dkim_eoh(dkim) not in (0, 2):
            return False
        if body:
            self.lib.dkim_body(dkim, body, ctypes.c_size_t(len(body)))
        self.status = self.lib.dkim_eom(dkim, None)
        return True

    def verify(self, message, _):
        status = ctypes.c_int()
        dkim = ctypes.c_void_p(self.lib.dkim_verify(self.handle, b"test", None, ctypes.byref(status)))
        signatures, n = ctypes.POINTER(ctypes.c_void_p)(), ctypes.c_int(0)
        results = []
        fed = self.feed(dkim, message)
        self.lib.dkim_getsiglist(dkim, ctypes.byref(signatures), ctypes.byref(n))
        for i in range(n.value):
            signature = ctypes.c_void_p(signatures[i])
            if fed:
                self.lib.dkim_sig_process(dkim, signature)
            passed = fed and self.lib.dkim_sig_getflags(signature) & self.PASSED != 0 \
                and self.lib.dkim_sig_getbh(signature) == 0
            results.append([self.lib.dkim_sig_getselector(signature).decode("latin-1"), passed])
        self.lib.dkim_free(dkim)
        return results

    def sign(self, message, canon):
        status, n = ctypes.c_int(), ctypes.c_size_t()
        key = ctypes.create_string_buffer(pathlib.Path(self.job["key"]).read_bytes())
        dkim = ctypes.c_void_p(self.lib.dkim_sign(
            self.handle, b"test", None, key, self.job["selector"].encode(), self.job["domain"].encode(),
            self.CANONS[canon[0]], self.CANONS[canon[1]], self.ALGORITHMS[self.job["algorithm"]],
            ctypes.c_ssize_t(-1), ctypes.byref(status)))
        value = ctypes.c_char_p()
        if self.job["algorithm"] == "ed25519-sha256":
            # Its folding of such a signature is not what it signed: with simple not even it verifies that.
            self.lib.dkim_set_margin(dkim, 0)
        if not dkim or not self.feed(dkim, message) or self.status != 0 \
                or self.lib.dkim_getsighdr_d(dkim, ctypes.c_size_t(16), ctypes.byref(value), ctypes.byref(n)) != 0:
            raise ValueError(f"status {status.value}")
        field = b"DKIM-Signature: " + ctypes.string_at(value, n.value)
        self.lib.dkim_free(dkim)
        return re.sub(rb"\r?\n", b"\r\n", field) + b"\r\n" + message


def main():
    job = json.load(sys.stdin)
    try:
        peer = {"dkimpy": Dkimpy, "opendkim": OpenDkim}[job["peer"]](job)
    except (ImportError, OSError):
        print("null")
        return
    do = getattr(peer, job["do"].replace("-", "_"))
    answers = []
    for number, path in enumerate(map(pathlib.Path, job["files"])):
        canon = job["canon"][number] if "canon" in job else None
        try:
            answer = do(path.read_bytes(), canon)
            if isinstance(answer, bytes):
                pathlib.Path(job["output"], path.name).write_bytes(answer)
                answer = True
        except Exception as error:  # a peer's failure is an answer, too
            answer = f"{type(error).__name__}: {error}"
        answers.append(answer)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
