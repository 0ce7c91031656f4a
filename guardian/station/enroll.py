"""A device's key to the broker, made and taken back: a password or a certificate, and what its guardian.toml must say.

Theory of operation. The broker's own files say who may come in: mosquitto's password file, or the certificates of an authority of one's own
less those on its revocation list. That list is also our memory of who was retired. A rights line for each device is not needed: the
patterns of firmware_config/acl give every user the topics that carry its name; `acl_says` looks whether they are there.

The password line is written here and not by mosquitto_passwd, which takes the password on its command line, where everybody on the machine
can read it. The certificate is made by the cryptography package: with openssl's program a revocation list needs a database of its own.
What is made here is written to new files that only their owner can read, or not at all.
"""

import base64
import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from guardian.config import ConfigError
from guardian.station.payloads import is_device

DEVICE_FOLDER = "/etc/guardian"  # on the device
ITERATIONS = 101  # mosquitto's default. The password is 192 random bits: more would guard nothing, and cost the broker at each connection
VALID = timedelta(days=3650)  # a guard must not fall silent on a birthday; `retire` ends it sooner
LISTED = timedelta(days=3650)  # a revocation list that has run out shuts everybody out
PATTERNS = (
    "pattern write {root}/%u/availability",
    "pattern write {root}/%u/state",
    "pattern write {root}/%u/event",
    "pattern read {root}/%u/receipt",
    "pattern read {root}/%u/command",
)


class Reach(Struct, frozen=True):
    """How the device reaches the broker."""

    host: str
    port: int
    root: str


class Enrolled(Struct, frozen=True):
    """What was made. `secret` goes into the QR code alone, never onto a screen as text."""

    folder: Path
    files: tuple[str, ...]  # in folder, all to be copied to DEVICE_FOLDER of the device
    snippet: str  # of guardian.toml
    secret: str

    def __repr__(self) -> str:
        return f"Enrolled({self.folder})"


def by_password(device: str, passwords: Path, folder: Path, reach: Reach, ca: Path) -> Enrolled:
    """A user of the broker with a random password. `ca`: the authority's certificate, copied if it is there. Raises ConfigError."""
    _named(device)
    lines = _lines(passwords)
    if any(line.startswith(f"{device}:") for line in lines):
        raise ConfigError(f"{passwords} has a user {device!r} already: guardian station retire {device}, then enroll again")
    password = secrets.token_urlsafe(24)
    keys = {"username": device, "password_file": f"{DEVICE_FOLDER}/mqtt.password"}
    with _made(folder):
        _new(folder / "mqtt.password", password + "\n")
        enrolled = _finished(device, folder, reach, ca, ["mqtt.password"], keys, password)
        _rewrite(passwords, [*lines, f"{device}:{password_line(password, secrets.token_bytes(12))}"])
    return enrolled


def by_certificate(device: str, authority: Path, folder: Path, reach: Reach, now: datetime | None = None) -> Enrolled:
    """A key and a certificate whose name is the device, signed by ca.key of the folder `authority`. Raises ConfigError."""
    _named(device)
    kept = authority / f"{device}.crt"
    if kept.exists():
        raise ConfigError(f"{kept} is there already: guardian station retire {device}, then enroll again")
    ca, signer = _authority(authority)
    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a Pi without a clock of its own wakes up in the past
        .not_valid_after(min(now + VALID, ca.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    keys = {"cert_file": f"{DEVICE_FOLDER}/mqtt.crt", "key_file": f"{DEVICE_FOLDER}/mqtt.key"}
    with _made(folder):
        _new(folder / "mqtt.crt", pem)
        _new(folder / "mqtt.key", private)
        enrolled = _finished(device, folder, reach, authority / "ca.crt", ["mqtt.crt", "mqtt.key"], keys, "")
        _new(kept, pem)
    return enrolled


def retire(device: str, passwords: Path, authority: Path, now: datetime | None = None) -> list[str]:
    """Shut a device out: its password is forgotten, its certificate revoked. What was done, in words. Raises ConfigError."""
    _named(device)
    done = []
    lines = _lines(passwords)
    left = [line for line in lines if not line.startswith(f"{device}:")]
    if left != lines:
        _rewrite(passwords, left)
        done.append(f"{passwords}: user {device} is gone")
    kept = authority / f"{device}.crt"
    if kept.exists():
        _revoke(x509.load_pem_x509_certificate(_read(kept)), authority, now or datetime.now(UTC))
        kept.unlink()
        done.append(f"{authority / 'ca.crl'}: the certificate of {device} is revoked")
    if not done:
        raise ConfigError(
            f"{device} was not enrolled here: neither a user of {passwords} nor {kept} (--passwords and --authority name others)"
        )
    return done


def acl_says(acl: Path, root: str) -> tuple[bool, str]:
    """Whether the broker's rights need nothing more for a device, and what to do otherwise."""
    needed = [line.format(root=root) for line in PATTERNS]
    try:
        lines = {" ".join(line.split()) for line in acl.read_text(encoding="utf-8").splitlines()}
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        return False, "\n".join(
            [f"{acl} cannot be read ({why}): the broker needs these lines in its acl_file, once for all devices:", *needed]
        )
    missing = [line for line in needed if line not in lines]
    if missing:
        return False, f"{acl} lacks these lines, once for all devices:\n" + "\n".join(missing)
    return True, f"{acl}: no line is needed, its patterns give every user the topics that carry its own name"


def qr(text: str) -> str:
    """A QR code in characters of a terminal, dark on light whatever the terminal's colours."""
    matrix = [list(row) for row in segno.make(text, error="l", micro=False).matrix_iter(border=2)]
    if len(matrix) % 2:
        matrix.append([0] * len(matrix[0]))
    halves = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
    rows = (
        "".join(halves[int(bool(a)), int(bool(b))] for a, b in zip(*pair, strict=True))
        for pair in zip(matrix[::2], matrix[1::2], strict=True)
    )
    return "\n".join(f"\x1b[30;107m{row}\x1b[0m" for row in rows)


def password_line(password: str, salt: bytes) -> str:
    """A password as mosquitto 2 keeps it: $7$, PBKDF2 with SHA-512."""
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"


def _named(device: str) -> None:
    if not is_device(device):
        raise ConfigError(f"{device!r:.80} is no device id: letters a-z, digits, - and _, at most 32, beginning with a letter or digit")


def _finished(device: str, folder: Path, reach: Reach, ca: Path, files: list[str], keys: dict[str, str], secret: str) -> Enrolled:
    """The rest of the folder: the authority's certificate, and the lines for guardian.toml."""
    mqtt: dict[str, str | int | bool] = {"host": _host(reach.host), "port": reach.port, "root": reach.root, "tls": True}
    if ca.exists():
        _new(folder / "mqtt-ca.crt", _read(ca).decode())
        files = [*files, "mqtt-ca.crt"]
        mqtt["ca_file"] = f"{DEVICE_FOLDER}/mqtt-ca.crt"
    mqtt |= keys
    snippet = f'[device]\nid = "{device}"\n\n[mqtt]\n' + "".join(f"{key} = {_toml(value)}\n" for key, value in mqtt.items())
    _new(folder / "guardian.toml", snippet)
    return Enrolled(folder, (*files, "guardian.toml"), snippet, secret)


def _host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", host):
        raise ConfigError(f"--host {host!r:.80} is no host name or address")
    if host in ("localhost", "::1") or host.startswith("127."):
        raise ConfigError(f"--host {host}: on the device that is the device itself; name the broker's machine as the device reaches it")
    return host


def _toml(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f'"{value}"'


def _authority(folder: Path) -> tuple[x509.Certificate, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]:
    public, private = _read(folder / "ca.crt"), _read(folder / "ca.key")
    try:
        certificate = x509.load_pem_x509_certificate(public)
        key = serialization.load_pem_private_key(private, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{folder}: ca.crt and ca.key must be PEM files without a pass phrase (see docs/station.md)") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{folder / 'ca.key'}: only RSA and EC keys are supported")
    if key.public_key() != certificate.public_key():
        raise ConfigError(f"{folder}: ca.key is not the key of ca.crt")
    return certificate, key


def _revoke(certificate: x509.Certificate, authority: Path, now: datetime) -> None:
    ca, signer = _authority(authority)
    place = authority / "ca.crl"
    listed = list(x509.load_pem_x509_crl(_read(place))) if place.exists() else []
    builder = x509.CertificateRevocationListBuilder().issuer_name(ca.subject).last_update(now).next_update(now + LISTED)
    for one in listed:
        builder = builder.add_revoked_certificate(one)
    if certificate.serial_number not in {one.serial_number for one in listed}:
        revoked = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now).build()
        builder = builder.add_revoked_certificate(revoked)
    pem = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    _replace(place, pem.decode(), mode=0o644)  # no secret, and the broker must read it


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _lines(passwords: Path) -> list[str]:
    try:
        return passwords.read_text(encoding="utf-8").splitlines() if passwords.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{passwords} cannot be read: {getattr(error, 'strerror', None) or error} (as root: sudo)") from error


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """A new folder, 0700; nothing of it is left if what follows fails."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror} (--out names another)") from error
    try:
        yield
    except BaseException:
        shutil.rmtree(folder)
        raise


def _new(path: Path, text: str) -> None:
    """A file that was not there, readable by its owner alone from its first byte on."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def _rewrite(passwords: Path, lines: list[str]) -> None:
    _replace(passwords, "".join(f"{line}\n" for line in lines), mode=0o640)


def _replace(path: Path, text: str, mode: int) -> None:
    """In one step, keeping owner and mode: the broker may read it at any time. A new one belongs to the folder's group."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        before = path.stat() if path.exists() else None
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                if os.geteuid() == 0:
                    owner = before or path.parent.stat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                os.fchmod(file.fileno(), (before.st_mode & 0o777) if before else mode)
                fresh.replace(path)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
    except FileExistsError as error:
        raise ConfigError(f"{fresh} is there: another enrolment is at it, or broke off; look, then delete it") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror} (as root: sudo)") from error
