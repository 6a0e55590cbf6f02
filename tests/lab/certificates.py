"""Certificates of the lab, and what the DNS says of them (TLSA, RFC 6698).

    authority = Certificates(folder)
    good = authority.issue("mx.shop.lab")                       # certificate, key, context
    old = authority.issue("mx.shop.lab", days=(-20, -10))       # expired ten days ago
    own = authority.self_signed("mx.shop.lab")
    tlsa(good, "3 1 1"), tlsa(authority.root, "2 0 1")          # "3 1 1 0A0B..."
"""

import hashlib
import pathlib
import ssl
import subprocess
import threading
import time

DAY_SECONDS = 86400
PEM_END = "-----END CERTIFICATE-----"
CA_CONFIG = """
[ca]
default_ca = lab
[lab]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


class Certificate:
    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key  # PEM files

    def der(self):
        """Of the certificate alone, without what follows it in the file."""
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text().partition(PEM_END)[0] + PEM_END)

    def public_key(self):
        """SubjectPublicKeyInfo, DER."""
        pem = _openssl("x509", "-in", self.certificate, "-noout", "-pubkey")
        return ssl.PEM_cert_to_DER_cert(pem.decode().replace("PUBLIC KEY", "CERTIFICATE"))

    def context(self):
        """For a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Certificates:
    def __init__(self, folder):
        self.folder, self.lock = pathlib.Path(folder), threading.Lock()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        (self.folder / "ca.conf").write_text(CA_CONFIG.format(folder=self.folder))
        (self.folder / "index").write_text("")
        self.root = self._new("authority", "-x509", "-subj", "/CN=Lab authority", "-days", "30",
                              "-addext", "basicConstraints=critical,CA:true")

    def trust(self, bundle):
        """Adds the authority to a file of those that are trusted."""
        with open(bundle, "a") as file:
            file.write(self.root.certificate.read_text())

    def _new(self, label, *options):
        """A key, and a request or with -x509 a certificate."""
        one = Certificate(self.folder / f"{label}.pem", self.folder / f"{label}.key")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", one.key, "-out",
                 one.certificate, *options)
        one.key.chmod(0o644)  # the lab is its own secret
        return one

    def issue(self, *names, days=(-1, 30), label=None, alternative=None):
        """For these host names; the file behind it has the authority's certificate, too. days: from, to, from now.

        alternative: what the extension subjectAltName says instead, in openssl(1)'s words."""
        label = label or f"{names[0]}{'' if days == (-1, 30) else days[1]}"
        one = self._new(label, "-subj", f"/CN={names[0]}")
        request = one.certificate.rename(self.folder / f"{label}.csr")
        extensions = self.folder / f"{label}.ext"
        extensions.write_text("subjectAltName=" + (alternative or ",".join(f"DNS:{name}" for name in names)) + "\n")
        with self.lock:  # its database is one file
            _openssl("ca", "-batch", "-notext", "-config", self.folder / "ca.conf", "-cert", self.root.certificate,
                     "-keyfile", self.root.key, "-in", request, "-out", one.certificate, "-extfile", extensions,
                     "-startdate", _date(days[0]), "-enddate", _date(days[1]))
        one.certificate.write_text(one.certificate.read_text() + self.root.certificate.read_text())
        return one

    def self_signed(self, *names):
        return self._new(f"own-{names[0]}", "-x509", "-days", "30", "-subj", f"/CN={names[0]}",
                         "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names))


def tlsa(one, kind="3 1 1", wrong=False):
    """The data of a TLSA record: kind is usage, selector and matching type. wrong: of another certificate."""
    _, selector, matching = kind.split()
    octets = one.public_key() if selector == "1" else one.der()
    if wrong:
        octets = octets[:-1] + bytes([octets[-1] ^ 1])
    digest = {"1": hashlib.sha256, "2": hashlib.sha512}.get(matching)
    return f"{kind} {(digest(octets).digest() if digest else octets).hex()}"


def _date(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY_SECONDS))


def _openssl(*words):
    done = subprocess.run(["openssl", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr.decode()[-800:]}")
    return done.stdout
