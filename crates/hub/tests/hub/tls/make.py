"""Makes the certificates of the TLS tests: an authority that nobody trusts, and a server at 127.0.0.1 (not `localhost`).

Run here with the `cryptography` package. The private key is public: it protects nothing.
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = "gptneo test authority"
PEM = serialization.Encoding.PEM


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, serial, extensions, authority_key):
    builder = x509.CertificateBuilder(name(AUTHORITY), name(subject), key.public_key(), serial)
    builder = builder.not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2120, 1, 1))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(authority_key, hashes.SHA256()).public_bytes(PEM)


authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
here = Path(__file__).parent
here.joinpath("authority.pem").write_bytes(
    certificate(AUTHORITY, authority_key, 1, [(x509.BasicConstraints(True, None), True)], authority_key)
)
here.joinpath("server.pem").write_bytes(
    certificate(
        "127.0.0.1",
        key,
        2,
        [
            (x509.BasicConstraints(False, None), True),
            (x509.SubjectAlternativeName(names), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        ],
        authority_key,
    )
)
here.joinpath("server.key.pem").write_bytes(
    key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)
