"""Whose certificates are believed, on every connection to ECS."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from structlog import get_logger

from agent.model.errors import BadInput

log = get_logger()

DIRECTORIES = "SSL_CERT_DIR"
CA_FILE = "AWS_CA_BUNDLE"


def trust(ca_file: Path | None, environ: Mapping[str, str] = os.environ, *, insecure: bool = False) -> ssl.SSLContext:
    """What TLS connections trust: the system's authorities, those of *ca_file*, and those in ``SSL_CERT_DIR``.

    OpenSSL looks in ``SSL_CERT_DIR`` for names that are hashes; an operator puts files there, so every file is read.
    *insecure* believes everybody. Raises BadInput where *ca_file* holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        log.warning("certificates_not_checked", setting="ECS_ACCEPT_INSECURE_CERT")
        return context
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # an SSLError is one
            raise BadInput(CA_FILE, f"cannot read certificates from {ca_file}: {error.strerror or error}") from error
    for directory in filter(None, environ.get(DIRECTORIES, "").split(":")):
        _add(context, Path(directory))
    return context


def _add(context: ssl.SSLContext, directory: Path) -> None:
    try:
        files = {path.resolve() for path in directory.iterdir() if path.is_file()}
    except OSError as error:
        log.warning("certificates_unreadable", directory=str(directory), setting=DIRECTORIES, error=str(error))
        return
    read = sum(_holds_certificates(context, path) for path in sorted(files))
    log.info("certificates_read", directory=str(directory), files=read, others=len(files) - read)


def _holds_certificates(context: ssl.SSLContext, path: Path) -> bool:
    """Trust what *path* holds. Such a directory may well hold other things: keys, lists, notes."""
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, UnicodeEncodeError):
        return False
    return True
