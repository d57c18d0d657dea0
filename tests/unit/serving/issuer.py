"""An OpenID Connect issuer that can be away, and the tokens that it signs."""

import json
import time

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER, AUDIENCE = "https://issuer.test/realm", "tickloom"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def public(key, kid, algorithm):
    kind = jwt.algorithms.RSAAlgorithm if algorithm.startswith("RS") else jwt.algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), "kid": kid, "alg": algorithm, "use": "sig"}


class Issuer:
    def __init__(self):
        self.keys = [public(RSA, "one", "RS256"), public(EC, "two", "ES256")]
        self.name, self.jwks_uri = ISSUER, "https://issuer.test/keys"
        self.away = False
        self.asked = []

    def __call__(self, request):
        self.asked.append(str(request.url))
        if self.away:
            raise httpx.ConnectError("nobody there")
        if request.url.path.endswith("/.well-known/openid-configuration"):
            return httpx.Response(200, json={"issuer": self.name, "jwks_uri": self.jwks_uri})
        return httpx.Response(200, json={"keys": self.keys})

    def client(self):
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


def token(key=RSA, kid="one", algorithm="RS256", without=(), **claims):
    now = int(time.time())
    usual = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "desk", "exp": now + 300, "nbf": now - 5, "iat": now,
        "scope": "openid forecast:XNYS",
    }  # fmt: skip
    told = {name: value for name, value in (usual | claims).items() if name not in without}
    return jwt.encode(told, key, algorithm, headers={"kid": kid})
